"""The course of a training, a generator like a picture's recipe: it tells what happens, ends with a file."""

from __future__ import annotations

import time
from collections import deque
from statistics import fmean
from typing import TYPE_CHECKING

from safetensors.torch import save

from diffusionapi.core.events import Phase, Step
from diffusionapi.engine.engine import Taught
from diffusionapi.engine.recipe import Moment, Pause
from diffusionapi.engine.training import class_pictures, pictures
from diffusionapi.engine.training.dice import CLASS_PICTURES, NOISE, PICTURES, dice, drawn
from diffusionapi.engine.training.loss import rolled
from diffusionapi.engine.training.notebook import Notebook
from diffusionapi.engine.training.student import Student
from diffusionapi.errors import BadRequest
from diffusionapi.weights import trained
from diffusionapi.weights.families import LABELS

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from torch import Tensor

    from diffusionapi.core.work import TrainingRequest
    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.engine.training.loss import Example, Row
    from diffusionapi.engine.workshop import Workshop

_TELLING = 0.1
"""Seconds between two steps that are told."""


def learn(request: TrainingRequest, workshop: Workshop) -> Generator[Moment, Tensor | None, None]:
    # 1. The model, and what was learnt before the training was stopped.
    yield Phase("loading")
    with workshop.taught(request.model) as weights:
        model = weights.model
        _check(model)
        notebook = Notebook(workshop.trainings / request.name, request)
        # 2. What it is to learn, and what it is not to forget.
        shown = []
        for one in pictures.examples(request, workshop.uploads, model):
            shown.append(one)
            yield Pause()
        held = yield from _class_pictures(request, model, notebook, workshop)
        # 3. Learn.
        student = Student(weights, workshop, request)
        losses = yield from _lessons(request, student, notebook, shown, held)
        # 4. The file.
        yield Phase("saving")
        yield Taught(_file(request, model, student, notebook), request.steps, fmean(losses))


def _check(model: LoadedModel) -> None:
    if model.family == "refiner":
        raise BadRequest("model", f"{model.name!r} is {LABELS[model.family]}; teach the model it goes with")
    if model.paints_holes:
        raise BadRequest(
            "model", f"{model.name!r} was made for inpainting; teach one that paints whole pictures"
        )


def _class_pictures(
    request: TrainingRequest, model: LoadedModel, notebook: Notebook, workshop: Workshop
) -> Generator[Moment, Tensor | None, list[Example]]:
    found: list[Example] = []
    wanted = class_pictures.wanted(request)
    if wanted:
        yield Phase("preparing")
    for number in range(wanted):
        found.append((yield from class_pictures.painted(number, request, model, notebook, workshop)))
        yield Step(number + 1, wanted, _fraction(request, number + 1, 0))
        yield Pause()
    return found


def _lessons(
    request: TrainingRequest, student: Student, notebook: Notebook, shown: list[Example], held: list[Example]
) -> Generator[Moment, Tensor | None, Sequence[float]]:
    """The losses of the last tenth of all steps, of which some may have been made before."""
    yield Phase("training")
    losses: deque[float] = deque(maxlen=max(1, request.steps // 10))
    done, told = 0, 0.0
    if kept := notebook.state():
        student.go_on(kept)
        losses.extend(kept["losses"])
        done = kept["steps"]
    while done < request.steps:
        losses.append(student.step(done, _rows(request, done, shown, held, student.timesteps)))
        done += 1
        if notebook.due(done) or done == request.steps:
            notebook.keep(done, {**student.state(), "losses": list(losses)})
        if time.monotonic() - told >= _TELLING or done == request.steps:
            told = time.monotonic()
            yield Step(done, request.steps, _fraction(request, len(held), done), fmean(losses))
        yield Pause()
    return losses


def _rows(
    request: TrainingRequest, step: int, shown: list[Example], held: list[Example], timesteps: int
) -> list[Row]:
    """What is looked at in a step: `batch` pictures, and beside each of them one that is held to."""
    random = dice(request.seed, NOISE, step)
    first, count = step * request.batch, request.batch
    rows = [
        rolled(one, 1 / count, timesteps, random)
        for one in drawn(shown, request.seed, PICTURES, first, count)
    ]
    if held:
        share = request.prior_weight / count
        again = drawn(held, request.seed, CLASS_PICTURES, first, count)
        rows += [rolled(one, share, timesteps, random) for one in again]
    return rows


def _fraction(request: TrainingRequest, painted: int, done: int) -> float:
    """How much of the work is done, in calls of the network with one picture; the way back costs two more."""
    to_paint, held = class_pictures.wanted(request), class_pictures.wanted(request) > 0
    painting, learning = 2 * class_pictures.CALLS, 3 * request.batch * (1 + held)
    whole = painting * to_paint + learning * request.steps
    return (painting * painted + learning * done) / whole


def _file(request: TrainingRequest, model: LoadedModel, student: Student, notebook: Notebook) -> bytes:
    said = trained.metadata(
        name=request.name,
        model=request.model,
        family=model.family,
        prediction=model.prediction,
        instance_prompt=request.instance_prompt,
        steps=request.steps,
        rank=request.rank,
        alpha=request.alpha,
        created_at=notebook.begun_at,
    )
    tensors = student.learnt.tensors()
    matrices = {name: one.half().cpu().contiguous() for name, one in tensors.items() if one.dim()}
    return save(tensors | matrices, said)
