"""The running set: pictures side by side, moved on by one network call a step, and trainings behind them.

Every piece of work is a generator (recipe.py) that tells what happens and asks questions. A step collects
what all pictures ask, takes those that can share a network call, and makes that one call. Pictures join and
leave between steps; each has randomness of its own, so its neighbours never change it. While there are none
the first training goes on, a step of its own at a time.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from diffusionapi.core.events import Cancelled, Failed, Failure
from diffusionapi.core.request import GenerationRequest
from diffusionapi.core.work import TrainingRequest, UpscaleRequest
from diffusionapi.engine import denoiser
from diffusionapi.engine.denoiser import Call
from diffusionapi.engine.engine import Rendered, Taught
from diffusionapi.engine.enlarging import enlarge
from diffusionapi.engine.previews.glimpse import Glimpse
from diffusionapi.engine.previews.previewer import Previewer
from diffusionapi.engine.recipe import Pause, generate
from diffusionapi.engine.training.course import learn
from diffusionapi.errors import Error
from diffusionapi.logs import about

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterator

    from torch import Tensor

    from diffusionapi.core.events import Preview
    from diffusionapi.core.work import Work
    from diffusionapi.engine.engine import EngineEvent, Happening
    from diffusionapi.engine.recipe import Moment
    from diffusionapi.engine.workshop import Workshop

log = logging.getLogger(__name__)

_PATIENCE = 5.0
"""Seconds that pictures of other weights wait for their turn, at most, while the present ones go on."""


_WAIT = 0.01
"""How much longer than its network call a step may take for its preview to come with it."""


@dataclass(slots=True, eq=False)
class _Running:
    job_id: str
    work: Work
    moments: Generator[Moment, Tensor | None, None]
    asked: Call | None = None
    answer: Tensor | None = None
    waiting_since: float = field(default_factory=time.monotonic)

    @property
    def training(self) -> bool:
        return isinstance(self.work, TrainingRequest)


class DiffusionEngine:
    def __init__(self, workshop: Workshop, *, capacity: int) -> None:
        self.capacity = capacity
        self._workshop = workshop
        self._running: dict[str, _Running] = {}
        self._cancelled: list[str] = []
        self._current: Hashable = None
        self._previewer = Previewer(workshop.device, workshop.decoders)
        self._call_seconds = 0.0
        """How long the last network call held up this thread."""

    def admit(self, job_id: str, work: Work) -> None:
        self._running[job_id] = _Running(job_id, work, _moments(work, self._workshop))

    def cancel(self, job_id: str) -> None:
        if job_id in self._running:
            self._cancelled.append(job_id)

    def preview(self, job_id: str, on: bool) -> None:
        if (one := self._running.get(job_id)) is None or not on:
            self._previewer.forget(job_id)
        elif isinstance(one.work, GenerationRequest) and not self._workshop.checks(one.work):
            self._previewer.want(job_id)

    def step(self, timeout: float) -> list[Happening]:
        if not self._running:
            time.sleep(timeout)
            return []
        happened: list[Happening] = [(job_id, Cancelled()) for job_id in self._take_cancelled()]
        pictures = [one for one in self._running.values() if not one.training]
        moving = pictures or list(self._running.values())[:1]
        # What is made in inference mode cannot be learnt from.
        with torch.inference_mode() if pictures else torch.no_grad():
            for one in moving:
                happened += [(one.job_id, event) for event in self._advance(one)]
        # What has happened is told first: a network call may take seconds.
        if happened:
            return happened
        with torch.inference_mode():
            return self._answer(self._next_turn(moving))

    def close(self) -> None:
        for one in self._running.values():
            one.moments.close()
        self._running.clear()
        self._previewer.close()
        self._workshop.close()

    def _take_cancelled(self) -> Iterator[str]:
        for job_id in self._cancelled:
            if (one := self._running.pop(job_id, None)) is not None:
                self._end(one)
                yield job_id
        self._cancelled.clear()

    # --- one piece of work ------------------------------------------------------------------------------

    def _advance(self, one: _Running) -> Iterator[EngineEvent]:
        """Let one go on until it asks the network, or ends. It may be asking already. A training stops
        wherever it tells something, so that others may go before it and it can be cancelled."""
        if preview := self._previewer.ready(one.job_id):
            yield preview
        while one.asked is None:
            try:
                moment = one.moments.send(one.answer)
            except Exception as error:  # noqa: BLE001 - whatever it is, it ends this one and no other
                yield self._fail(one, error)
                return
            one.answer = None
            if isinstance(moment, Call):
                one.asked, one.waiting_since = moment, time.monotonic()
                return
            if isinstance(moment, Pause):
                return
            if isinstance(moment, Glimpse):
                yield from self._previewed(one, moment)
                continue
            yield moment
            if isinstance(moment, Rendered | Taught):
                self._end(one)
            if one.training or isinstance(moment, Rendered):
                return

    def _previewed(self, one: _Running, glimpse: Glimpse) -> Iterator[Preview]:
        """Where a step takes seconds it is worth a wait: the next chance to tell is a step away."""
        if self._previewer.offer(one.job_id, glimpse) and (
            preview := self._previewer.ready(one.job_id, patience=_WAIT * self._call_seconds)
        ):
            yield preview

    def _fail(self, one: _Running, error: Exception) -> Failed:
        self._end(one)
        return Failed(_failure(error, one))

    def _end(self, one: _Running) -> None:
        self._running.pop(one.job_id, None)
        self._previewer.forget(one.job_id)
        one.moments.close()

    # --- the network ------------------------------------------------------------------------------------

    def _next_turn(self, moving: list[_Running]) -> list[_Running]:
        """Whom the next network call is for: the lane of whoever waits longest among the present weights.

        Other weights take over when the present ones have nothing to ask, or have gone on for long enough.
        """
        asking = [one for one in moving if one.asked is not None]
        if not asking:
            return []
        first = min(asking, key=lambda one: one.waiting_since)
        own = [one for one in asking if _weights(one) == self._current]
        if own and time.monotonic() - first.waiting_since < _PATIENCE:
            first = min(own, key=lambda one: one.waiting_since)
        self._current = _weights(first)
        return [one for one in asking if _lane(one) == _lane(first)]

    def _answer(self, turn: list[_Running]) -> list[Happening]:
        """Make the call; when memory runs out, make it for half as many."""
        if not turn:
            return []
        calls = [one.asked for one in turn if one.asked is not None]
        began = time.monotonic()
        try:
            self._workshop.activate(calls[0].weights)
            answers = denoiser.answer(calls)
            self._call_seconds = time.monotonic() - began
        except torch.OutOfMemoryError as error:
            self._workshop.free_memory()
            if len(turn) == 1:
                return [(turn[0].job_id, self._fail(turn[0], error))]
            half = len(turn) // 2
            return self._answer(turn[:half]) + self._answer(turn[half:])
        except Exception as error:  # noqa: BLE001 - a network that fails ends the pictures that asked it
            return [(one.job_id, self._fail(one, error)) for one in turn]
        for one, answer in zip(turn, answers, strict=True):
            one.asked, one.answer = None, answer
        return []


def _moments(work: Work, workshop: Workshop) -> Generator[Moment, Tensor | None, None]:
    match work:
        case GenerationRequest():
            return generate(work, workshop)
        case UpscaleRequest():
            return enlarge(work, workshop)
        case TrainingRequest():
            return learn(work, workshop)


def _weights(one: _Running) -> Hashable:
    assert one.asked is not None
    return one.asked.weights.model.name, one.asked.weights.adapters


def _lane(one: _Running) -> Hashable:
    assert one.asked is not None
    return one.asked.lane


_FAILURES: dict[type[Exception], Callable[[Exception], Failure]] = {
    torch.OutOfMemoryError: lambda _: Failure(
        "out_of_memory",
        "The device ran out of memory; lower width and height, the hires scale, or the number of LoRAs",
    ),
    Error: lambda error: Failure(getattr(error, "code", "error"), str(error)),
}


def _failure(error: Exception, one: _Running) -> Failure:
    for kind, describe in _FAILURES.items():
        if isinstance(error, kind):
            return describe(error)
    log.error("the %s failed", one.work.kind, exc_info=error, extra=about(one.job_id))
    what = "training" if one.training else "picture"
    return Failure(
        "generation_failed", f"The engine failed at this {what} ({type(error).__name__}); see its log"
    )
