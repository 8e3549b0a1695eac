"""What comes of trainings: LoRAs in their folder, and a folder for each training of what it needs."""

from __future__ import annotations

import glob
import re
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from diffusionapi import files
from diffusionapi.errors import StorageRefused

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.settings import Settings

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,99}")


class Trainings:
    """By the names of the LoRAs. Engines write into the folders, which are of no use after their jobs."""

    def __init__(self, settings: Settings) -> None:
        self._loras = settings.path(settings.loras_dir)
        self._folder = settings.path(settings.trainings_dir)

    def put(self, name: str, content: bytes) -> None:
        """Give a finished LoRA its place, whole or not at all, so that it survives a power cut.

        StorageRefused where no LoRA can have one.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a LoRA")
        try:
            files.make_folder(self._loras)
            files.write(self._lora(name), content, durable=True)
        except StorageRefused as refusal:
            raise StorageRefused("LORAS_DIR", refusal.reason) from refusal

    def has(self, name: str) -> bool:
        """Is there a LoRA of this name?"""
        return bool(_NAME.fullmatch(name)) and self._lora(name).is_file()

    def remove(self, name: str) -> None:
        """Remove a LoRA, if there is one."""
        if _NAME.fullmatch(name):
            with files.storage_errors(f"{self._loras.name}/{name}"):
                self._lora(name).unlink(missing_ok=True)

    def clear(self, name: str) -> None:
        """Remove what a training needed to go on, and what a writer of its LoRA left that was killed."""
        if not _NAME.fullmatch(name):
            return
        with files.storage_errors(f"{self._folder.name}/{name}"):
            for path in self._loras.glob(f".{glob.escape(self._lora(name).name)}.*"):
                path.unlink(missing_ok=True)
            with suppress(FileNotFoundError):  # another process may remove the same
                shutil.rmtree(self._folder / name)

    def kept(self) -> set[str]:
        """The names of those that have a folder."""
        with files.storage_errors(str(self._folder)):
            if not self._folder.is_dir():
                return set()
            return {one.name for one in self._folder.iterdir() if one.is_dir() and _NAME.fullmatch(one.name)}

    def _lora(self, name: str) -> Path:
        return self._loras / f"{name}.safetensors"
