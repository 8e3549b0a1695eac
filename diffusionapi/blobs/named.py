"""Files of one folder by plain names, so that nothing outside the folder is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from diffusionapi import files
from diffusionapi.errors import UnknownPicture

if TYPE_CHECKING:
    import re
    from pathlib import Path


class NamedFiles:
    names: ClassVar[re.Pattern[str]]
    """What a name looks like; any other is unknown."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files.make_folder(folder)

    def get(self, name: str) -> bytes:
        content = files.read(self._file(name))
        if content is None:
            raise UnknownPicture(name)
        return content

    def path(self, name: str) -> Path:
        """Where a picture lies, for servers that hand out files."""
        path = self._file(name)
        if path.is_symlink() or not path.is_file():
            raise UnknownPicture(name)
        return path

    def check(self) -> None:
        """Raise StorageUnavailable when a picture could not be kept now."""
        files.check_room(self.folder)

    def _file(self, name: str) -> Path:
        if not self.names.fullmatch(name):
            raise UnknownPicture(name)
        return self.folder / name
