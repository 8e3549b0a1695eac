"""Keeps the networks of faces in memory while their files stay the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from diffusionapi.engine.faces.restorer import FaceRestorer


class Faces:
    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._loaded: tuple[tuple[tuple[Path, int], ...], FaceRestorer] | None = None

    def get(self, restorer: Path, detector: Path) -> FaceRestorer:
        files = tuple((one, one.stat().st_mtime_ns) for one in (restorer, detector))
        if self._loaded is None or self._loaded[0] != files:
            from diffusionapi.engine.faces.restorer import load

            self.forget()
            self._loaded = files, load(restorer, detector, self._device)
        return self._loaded[1]

    def forget(self) -> None:
        """Let go of their memory."""
        self._loaded = None
