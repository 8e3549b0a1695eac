"""Runs the real engine on miniature models for tests, and looks at what it made."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from diffusionapi.blobs.folder import FolderUploads
from diffusionapi.engine.engine import ENDS, EngineEvent, Rendered
from diffusionapi.engine.running import DiffusionEngine
from diffusionapi.engine.workshop import Workshop
from diffusionapi.settings import Settings
from tests.factories import a_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest
    from torch import Tensor

    from diffusionapi.core.work import Work


def make_house(root: Path, models: Mapping[str, Path]) -> Settings:
    """Settings of a folder in which these models are installed."""
    folder = root / "stable_diffusion" / "models"
    folder.mkdir(parents=True)
    for name, path in models.items():
        (folder / name).symlink_to(path)
    return Settings(data_dir=root, engine="diffusers", device="cpu", precision="fp32")


def upload(settings: Settings, picture: Image.Image) -> str:
    """The name of a picture among the uploads of these settings."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return FolderUploads(settings.path(settings.uploads_dir)).put(buffer.getvalue())


def a_photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth colours with some grain: every pixel differs from its neighbours."""
    dice = np.random.default_rng(seed)
    coarse = Image.fromarray(dice.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((smooth + dice.integers(-9, 10, smooth.shape)).clip(0, 255).astype(np.uint8))


def a_mask(width: int, height: int, *white: tuple[int, int, int, int]) -> Image.Image:
    """Black, but for these boxes (left, top, right, bottom)."""
    mask = Image.new("L", (width, height))
    for box in white:
        mask.paste(255, box)
    return mask


def make_engine(settings: Settings, capacity: int = 4) -> DiffusionEngine:
    return DiffusionEngine(Workshop(settings), capacity=capacity)


def run(engine: DiffusionEngine, **requests: Work) -> dict[str, list[EngineEvent]]:
    """Admit all at once and step until the last has ended; what happened to each."""
    told: dict[str, list[EngineEvent]] = {name: [] for name in requests}
    for name, request in requests.items():
        engine.admit(name, request)
    while any(not events or not ended(events) for events in told.values()):
        for name, event in engine.step(0):
            told[name].append(event)
    return told


def ended(events: list[EngineEvent]) -> bool:
    return isinstance(events[-1], ENDS)


def picture(events: list[EngineEvent]) -> Image.Image:
    last = events[-1]
    assert isinstance(last, Rendered), last
    return Image.open(io.BytesIO(last.content))


def render(engine: DiffusionEngine, **fields: Any) -> Image.Image:
    return picture(run(engine, it=a_request(**fields))["it"])


def latents_of(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Filled with the latents that go to the VAE from now on."""
    from diffusionapi.engine import autoencoder

    seen: list[Tensor] = []
    decode = autoencoder.decode

    def watched(coder: Any, latents: Tensor, *more: Any) -> Image.Image:
        seen.append(latents)
        return decode(coder, latents, *more)

    monkeypatch.setattr(autoencoder, "decode", watched)
    return seen


def pixels(one: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(one, dtype=float)


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of two pictures in levels of 0..255."""
    return float(np.abs(pixels(one) - pixels(other)).mean())
