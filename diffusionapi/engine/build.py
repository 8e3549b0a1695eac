"""Which engine the settings name, on which devices, and how one is made. Asking does not load torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from diffusionapi.catalog import scan

if TYPE_CHECKING:
    from diffusionapi.engine.engine import Engine
    from diffusionapi.settings import Settings

BUILD = "diffusionapi.engine.build:build"

_GPU_BATCH = 8
"""Pictures side by side on a GPU, most of which one alone leaves idle; a CPU gains nothing by it."""


def with_engine(settings: Settings) -> Settings:
    """The settings with an engine named: the real one when there is a model for it, else the fake."""
    if settings.engine is not None:
        return settings
    return settings.model_copy(update={"engine": "diffusers" if scan.models(settings) else "fake"})


def devices(settings: Settings) -> list[str]:
    """The devices that a server's engines run on, one each unless WORKERS says otherwise."""
    if settings.engine == "fake":
        return ["cpu"]
    if settings.device != "auto":
        return [settings.device]
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return [f"cuda:{number}" for number in range(gpus)] or ["auto"]


def build(settings: Settings) -> Engine:
    """The engine itself, in this process."""
    if settings.engine == "fake":
        from diffusionapi.engine.fake.engine import FakeEngine
        from diffusionapi.engine.fake.props import Props

        return FakeEngine(
            Props.of(settings), capacity=settings.max_batch or 1, step_seconds=settings.fake_step_seconds
        )

    from diffusionapi.engine.upscalers import torchvision_shim

    torchvision_shim.mend()  # before anything imports diffusers or transformers
    from diffusionapi.engine.running import DiffusionEngine
    from diffusionapi.engine.workshop import Workshop

    workshop = Workshop(settings)
    gpu = workshop.device.type == "cuda"
    return DiffusionEngine(workshop, capacity=settings.max_batch or (_GPU_BATCH if gpu else 1))
