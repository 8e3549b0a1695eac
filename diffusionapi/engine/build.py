"""Which engine the settings name, and what is known of it without loading it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.errors import Misconfigured

if TYPE_CHECKING:
    from diffusionapi.engine.engine import Engine
    from diffusionapi.settings import Settings

BUILD = "diffusionapi.engine.build:build"


def build(settings: Settings) -> Engine:
    """The engine itself, in this process."""
    match settings.engine:
        case "fake":
            from diffusionapi.engine.fake import FakeEngine

            return FakeEngine(capacity=settings.max_batch, step_seconds=settings.fake_step_seconds)
        case "diffusers":
            raise Misconfigured("Setting ENGINE: 'diffusers' is not part of this version; use ENGINE=fake")


def devices(settings: Settings) -> int:
    """How many devices the engine can use, which is how many of it a server runs unless WORKERS says."""
    match settings.engine:
        case "fake":
            return 1
        case "diffusers":
            raise Misconfigured("Setting ENGINE: 'diffusers' is not part of this version; use ENGINE=fake")
