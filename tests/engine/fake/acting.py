"""Has the fake engine do something, and hears what happened."""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image

from diffusionapi.engine.engine import ENDS, Rendered
from diffusionapi.engine.fake.engine import FakeEngine

if TYPE_CHECKING:
    from diffusionapi.blobs.uploads import Uploads
    from diffusionapi.core.work import Work
    from diffusionapi.engine.engine import EngineEvent
    from diffusionapi.engine.fake.props import Props


def run(work: Work, props: Props, *, checks: bool = False) -> list[EngineEvent]:
    """All that happens to one piece of work. `checks`: a safety checker is installed."""
    props = replace(props, checks=props.checks or checks)
    with closing(FakeEngine(props, capacity=1, step_seconds=0)) as engine:
        engine.admit("a", work)
        events: list[EngineEvent] = []
        while not events or not isinstance(events[-1], ENDS):
            events += [event for _, event in engine.step(0)]
    return events


def rendered(events: list[EngineEvent]) -> Rendered:
    last = events[-1]
    assert isinstance(last, Rendered), last
    return last


def picture(events: list[EngineEvent]) -> Image.Image:
    return Image.open(io.BytesIO(rendered(events).content))


def put(uploads: Uploads, given: Image.Image) -> str:
    buffer = io.BytesIO()
    given.save(buffer, "PNG")
    return uploads.put(buffer.getvalue())


def difference(one: Image.Image, other: Image.Image) -> float:
    return sum(abs(a - b) for a, b in zip(one.tobytes(), other.tobytes(), strict=True)) / len(one.tobytes())
