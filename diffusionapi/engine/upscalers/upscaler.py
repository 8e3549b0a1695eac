"""Upscalers of pictures by name: generators that tell how far they are and return the larger picture."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from PIL import Image

from diffusionapi.engine.upscalers import image

if TYPE_CHECKING:
    from pathlib import Path

    import torch

Upscaling = Generator[float, None, Image.Image]
"""Yields the share that is done (0..1) between its pieces, so that the caller may show it, or stop."""

Upscaler = Callable[[Image.Image, tuple[int, int]], Upscaling]
"""From an RGB picture to exactly this width and height."""


class Upscalers:
    """The built-in ones, and of those in files the one that was used last."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._loaded: tuple[tuple[Path, int], Upscaler] | None = None

    def get(self, name: str, path: Path | None) -> Upscaler:
        """The upscaler of this name; `path` is its file, None for a built-in one."""
        if path is None:
            return image.UPSCALERS[name]
        file = path, path.stat().st_mtime_ns if path.exists() else 0
        if self._loaded is None or self._loaded[0] != file:
            from diffusionapi.engine.upscalers.spandrel import load

            self.forget()
            self._loaded = file, load(path, self._device)
        return self._loaded[1]

    def forget(self) -> None:
        """Let go of the memory of the file."""
        self._loaded = None
