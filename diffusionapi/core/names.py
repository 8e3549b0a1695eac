"""Names as people type them: case, hyphens, underscores and outer blanks do not matter."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def fold(name: str) -> str:
    """The form in which two spellings of one name are equal."""
    return " ".join(name.casefold().replace("-", " ").replace("_", " ").split())


def near(name: str, known: Iterable[str]) -> list[str]:
    """Up to three known names that `name` may have been meant as, the nearest first."""
    by_fold = {fold(one): one for one in known}
    wanted = fold(name)
    found = get_close_matches(wanted, by_fold, n=3, cutoff=0.6)
    found += [one for one in by_fold if wanted and wanted in one and one not in found]
    return [by_fold[one] for one in found[:3]]
