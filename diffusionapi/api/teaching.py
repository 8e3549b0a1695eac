"""What trainings are alike in, whichever API they come by: what is learnt on, how, and the pictures."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.catalog import matching
from diffusionapi.catalog.matching import Named
from diffusionapi.errors import BadRequest
from diffusionapi.weights.families import LATENT_CHANNELS
from diffusionapi.weights.sizes import native_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.catalog.scan import Installed
    from diffusionapi.core.work import TrainingRequest
    from diffusionapi.intake.intake import Intake
    from diffusionapi.weights.inspection import Found

RANK = 16
RATE = 1e-4
"""As diffusers' own training of LoRAs in the manner of DreamBooth has it."""
_STEPS_A_PICTURE, _STEPS = 100, 2000
"""How many steps are made where nobody says how many: so many a picture, and no more than so many."""
_TOO_LOW = 1e-5
"""A rate under which a LoRA hardly changes in the steps that may be asked for."""
_TOO_FEW = 80
"""Steps at the usual rate under which a LoRA hardly shows, even one picture's; twice the rate needs half."""
_SIZE = 512
"""Of a model that says nothing of it."""
_AT_ONCE = 4
"""Pictures of one training that are taken in side by side."""


@dataclass(frozen=True, slots=True)
class Base:
    """What is learnt on. `found` is None of what is built in."""

    model: Installed
    found: Found | None

    @property
    def size(self) -> int:
        """Pixels of a side that it paints best."""
        return native_size(self.found) if self.found else _SIZE


def base(model: Installed, catalog: Catalog, field: str) -> Base:
    """BadRequest for a model that nothing can be learnt on."""
    matching.check(catalog, Named(model, field), None, ())
    found = catalog.found_model(model)
    if found is not None and found.in_channels != LATENT_CHANNELS:
        raise BadRequest(field, f"{model.name!r} was made for inpainting; learn on an ordinary model")
    return Base(model, found)


async def taken(intake: Intake, images: Sequence[str], field: str, here: str) -> list[str]:
    """The pictures as uploads; BadPicture names the first that is none by `field`, a format of its number."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def take(number: int, given: str) -> str:
        async with room:
            return await intake.picture(given, field.format(number), here=here)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(take(number, one)) for number, one in enumerate(images)]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [one.result() for one in tasks]


def usual_steps(pictures: int) -> int:
    return min(_STEPS_A_PICTURE * pictures, _STEPS)


def notices(request: TrainingRequest) -> tuple[str, ...]:
    """What may be otherwise than it was meant."""
    if request.rate < _TOO_LOW:
        said = f"A rate of {request.rate:g} is one for the training of whole models; "
        return (f"{said}a LoRA learns next to nothing by it, {RATE:g} is usual",)
    if request.steps * request.rate < _TOO_FEW * RATE:
        count = len(request.pictures)
        said = f"{request.steps} steps at a rate of {request.rate:g} are too few for a LoRA to show; "
        shown = f"{count} picture{'s' * (count != 1)}"
        return (f"{said}with {shown} {usual_steps(count)} at {RATE:g} are usual",)
    return ()
