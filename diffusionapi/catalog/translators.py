"""Models that translate prompts to English, and from which languages: mBART-50, and Marian's (OPUS-MT)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from diffusionapi.errors import BrokenModel
from diffusionapi.languages.names import ENGLISH, NAMES, UNKNOWN
from diffusionapi.weights import folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_MBART_50 = (
    "af ar az bn cs de es et fa fi fr gl gu he hi hr id it ja ka kk km ko lt lv mk ml mn mr my ne nl "
    "pl ps pt ro ru si sl sv sw ta te th tl tr uk ur vi xh zh"
)
"""What facebook/mbart-large-50-many-to-one-mmt translates (Tang et al. 2020, arXiv:2008.00401)."""
_GROUPS = {
    "ROMANCE": "ca es fr gl it pt ro",
    "bat": "lt lv",
    "cat_oci_spa": "ca es",
    "cel": "cy ga",
    "ces_slk": "cs sk",
    "dra": "kn ml ta te",
    "fiu": "et fi hu",
    "gem": "af da de is nl no sv",
    "gmq": "da is no sv",
    "gmw": "af de nl",
    "inc": "bn gu hi mr ne pa si ur",
    "itc": "ca es fr gl it pt ro",
    "jap": "ja",
    "roa": "ca es fr gl it pt ro",
    "sem": "am ar he",
    "sh": "hr sr",
    "sla": "be bg cs hr mk pl ru sk sl sr uk",
    "trk": "az kk tr",
    "zle": "be ru uk",
    "zls": "bg hr mk sl sr",
    "zlw": "cs pl sk",
}
"""How the names of Marian's models speak of several languages."""
_ALL = {"mul", "ine"}
_THREE = {"ara": "ar", "deu": "de", "fra": "fr", "jpn": "ja", "kor": "ko", "spa": "es", "zho": "zh"}
_NAMED = re.compile(r"opus-mt-(?:tc-(?:big|base)-)?(?P<source>.+)-(?P<target>[a-z]{2,3})\Z")


@dataclass(frozen=True, slots=True)
class Translator:
    name: str
    path: Path
    kind: Literal["mbart", "marian"]
    languages: frozenset[str] | None
    """None: it takes whatever it is given."""

    def knows(self, language: str) -> bool:
        return self.languages is None or language in self.languages


def find(root: Path) -> list[Translator]:
    """Those in the folder, each in a folder of its own or in that of a hub's cache; the narrowest first."""
    found = [one for folder in _folders(root) if (one := _translator(*folder)) is not None]
    return sorted(found, key=lambda one: (len(one.languages) if one.languages else math.inf, one.name))


def choose(translators: Iterable[Translator], language: str) -> Translator | None:
    return next((one for one in translators if one.knows(language)), None)


def known(translators: Iterable[Translator]) -> frozenset[str]:
    """The languages that any of them knows by name."""
    return frozenset[str]().union(*(one.languages for one in translators if one.languages))


def refusal(languages: Sequence[str], translators: Sequence[Translator], folder: str) -> str | None:
    """Why nothing translates from these languages, for people; None if all of them are known."""
    lacking = next((one for one in languages if choose(translators, one) is None), None)
    if lacking is None:
        return None
    if lacking == UNKNOWN:
        return "its language cannot be told; send it in English"
    name = NAMES.get(lacking, lacking)
    if lacking in _MBART_50.split():
        model = "a model that translates from it, such as mbart-large-50-many-to-one-mmt"
    else:
        model = "a model of Marian's that translates from it"
    return f"it seems to be in {name}; send it in English, or have {model} put into {folder}"


def _folders(root: Path) -> Iterator[tuple[str, Path]]:
    """Names, and where their files are."""
    if not root.is_dir():
        return
    for entry in sorted(root.iterdir()):
        if entry.name.startswith(".") or not entry.is_dir():
            continue
        if (entry / "config.json").is_file():
            yield entry.name, entry
        for snapshot in sorted((entry / "snapshots").glob("*/config.json"))[:1]:
            yield entry.name.removeprefix("models--").rpartition("--")[2], snapshot.parent


def _translator(name: str, folder: Path) -> Translator | None:
    """None for what is something else, or not all there."""
    names = {one.name for one in folder.iterdir()}
    if not (folders.choose(names, half=False) or folders.choose_pickle(names)):
        return None
    try:
        kind = folders.read_config(folder / "config.json").get("model_type")
        if kind == "mbart":
            return Translator(name, folder, "mbart", frozenset(_MBART_50.split()))
        if kind != "marian":
            return None
        source, target = _direction(name, folder)
    except BrokenModel:
        return None
    if target not in (ENGLISH, "eng") or source is None:
        return None
    return Translator(name, folder, "marian", _languages(source))


def _direction(name: str, folder: Path) -> tuple[Any, Any]:
    """From what to what a model of Marian's translates: as its tokenizer says, else as its name does."""
    file = folder / "tokenizer_config.json"
    told = folders.read_config(file) if file.is_file() else {}
    named = _NAMED.search(name)
    source, target = (named["source"], named["target"]) if named else (None, None)
    return told.get("source_lang") or source, told.get("target_lang") or target


def _languages(source: str) -> frozenset[str] | None:
    if source in _ALL:
        return None
    return frozenset(_GROUPS.get(source, _THREE.get(source, source)).split())
