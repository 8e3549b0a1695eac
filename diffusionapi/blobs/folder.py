"""Finished pictures as files in one folder."""

from __future__ import annotations

import re

from diffusionapi import files
from diffusionapi.blobs.named import NamedFiles


class FolderBlobs(NamedFiles):
    names = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}\.(jpg|png)")

    def put(self, name: str, content: bytes) -> None:
        """Keep a picture, whole or not at all, so that it survives a power cut."""
        files.write(self._file(name), content, durable=True)

    def remove(self, name: str) -> None:
        with files.storage_errors(f"{self.folder.name}/{name}"):
            self._file(name).unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        return self._file(name).is_file()
