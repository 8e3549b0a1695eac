"""Pictures as files in one folder. A name is a plain file name, so nothing outside the folder is reached."""

from __future__ import annotations

import re
from pathlib import Path

from diffusionapi import files
from diffusionapi.errors import UnknownPicture

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}\.(jpg|png)")


class FolderBlobs:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files.make_folder(folder)

    def put(self, name: str, content: bytes) -> None:
        """Keep a picture, whole or not at all, so that it survives a power cut."""
        files.write(self._file(name), content, durable=True)

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

    def remove(self, name: str) -> None:
        with files.storage_errors(f"{self.folder.name}/{name}"):
            self._file(name).unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        return self._file(name).is_file()

    def check(self) -> None:
        """Raise StorageUnavailable when a picture could not be kept now."""
        files.check_room(self.folder)

    def _file(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UnknownPicture(name)
        return self.folder / name
