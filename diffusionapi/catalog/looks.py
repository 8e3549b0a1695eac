"""What was found in files, remembered for as long as the list of files is: naming one again costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from diffusionapi.errors import Error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")


class Looks(Generic[T]):
    def __init__(self, inspect: Callable[[Path], T]) -> None:
        self._inspect = inspect
        self._seen: dict[Path, T | Error] = {}

    def at(self, path: Path) -> T:
        """What `inspect` says of the path, or raises: an error is remembered, too."""
        if path not in self._seen:
            self._seen[path] = self._look(path)
        seen = self._seen[path]
        if isinstance(seen, Error):
            raise seen.with_traceback(None)
        return seen

    def _look(self, path: Path) -> T | Error:
        try:
            return self._inspect(path)
        except Error as error:
            return error
