"""The fake engine's running set: all pictures move at a step, or the first training while there are none."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.core.events import Cancelled, Failed, Failure, Step
from diffusionapi.core.request import GenerationRequest
from diffusionapi.core.work import TrainingRequest
from diffusionapi.engine.engine import ENDS
from diffusionapi.engine.fake.learning import learn
from diffusionapi.engine.fake.painting import Drawing, enlarge, paint
from diffusionapi.engine.previews.pace import Pace
from diffusionapi.errors import Error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.core.work import Work
    from diffusionapi.engine.engine import EngineEvent, Happening
    from diffusionapi.engine.fake.props import Props


@dataclass(slots=True)
class _Running:
    events: Iterator[EngineEvent]
    training: bool = False
    drawing: Drawing | None = None
    """What previews can be made of."""
    cancelled: bool = False
    pace: Pace | None = None
    """Of its previews, None while nobody wants any."""


class FakeEngine:
    def __init__(self, props: Props, *, capacity: int, step_seconds: float) -> None:
        self.capacity = capacity
        self._props = props
        self._step_seconds = step_seconds
        self._running: dict[str, _Running] = {}

    def admit(self, job_id: str, work: Work) -> None:
        self._running[job_id] = self._begun(work)

    def _begun(self, work: Work) -> _Running:
        if isinstance(work, TrainingRequest):
            return _Running(learn(work, self._props), training=True)
        if isinstance(work, GenerationRequest):
            drawing = Drawing(work, self._props)
            return _Running(paint(drawing), drawing=drawing)
        return _Running(enlarge(work, self._props))

    def cancel(self, job_id: str) -> None:
        if job_id in self._running:
            self._running[job_id].cancelled = True

    def preview(self, job_id: str, on: bool) -> None:
        if one := self._running.get(job_id):
            one.pace = (one.pace or Pace()) if on else None

    def step(self, timeout: float) -> list[Happening]:
        if not self._running:
            time.sleep(timeout)
            return []
        time.sleep(self._step_seconds)
        happened: list[Happening] = []
        for job_id, one in self._moving():
            event = Cancelled() if one.cancelled else _next(one.events)
            if preview := _preview(one, event):
                happened.append((job_id, preview))
            happened.append((job_id, event))
            if isinstance(event, ENDS):
                del self._running[job_id]
        return happened

    def _moving(self) -> list[tuple[str, _Running]]:
        everybody = list(self._running.items())
        pictures = [pair for pair in everybody if not pair[1].training]
        moving = pictures or everybody[:1]
        return [pair for pair in everybody if pair in moving or pair[1].cancelled]

    def close(self) -> None:
        self._running.clear()


def _next(events: Iterator[EngineEvent]) -> EngineEvent:
    try:
        return next(events)
    except Error as error:
        return Failed(Failure(error.code, error.sentence))


def _preview(one: _Running, event: EngineEvent) -> EngineEvent | None:
    if one.drawing is None or one.pace is None or not isinstance(event, Step) or one.drawing.checked:
        return None
    return one.drawing.rough(event) if one.pace.due(event) else None
