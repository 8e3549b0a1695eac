"""What the model is to go on painting as it does now, painted by itself before it learns.

Without them it would take every dog for the one it is shown (prior preservation, Ruiz et al. 2022, 4.2).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import torch
from PIL import Image

from diffusionapi.core.request import GenerationRequest
from diffusionapi.engine import autoencoder
from diffusionapi.engine.denoiser import Call
from diffusionapi.engine.engine import Rendered
from diffusionapi.engine.recipe import Moment, Pause, generate
from diffusionapi.engine.training.loss import Example
from diffusionapi.engine.training.pictures import square, told

if TYPE_CHECKING:
    from collections.abc import Generator

    from torch import Tensor

    from diffusionapi.core.work import TrainingRequest
    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.engine.training.notebook import Notebook
    from diffusionapi.engine.workshop import Workshop

CALLS = 25
"""Of the network, for each of them."""


def wanted(request: TrainingRequest) -> int:
    """How many there are to be; none if they would count for nothing."""
    return request.class_pictures if request.class_prompt is not None and request.prior_weight > 0 else 0


def painted(
    number: int, request: TrainingRequest, model: LoadedModel, notebook: Notebook, workshop: Workshop
) -> Generator[Moment, Tensor | None, Example]:
    """The one of this number; it may have been painted before the training was stopped."""
    assert request.class_prompt is not None
    latents = notebook.class_picture(number)
    if latents is None:
        picture = yield from _quietly(generate(_asked(request, number), workshop))
        with torch.inference_mode():
            latents = autoencoder.encode(model, picture).cpu()
        notebook.keep_class_picture(number, latents)
    size = square(request.size)
    return Example(latents, request.class_prompt, told(model, size, size))


def _asked(request: TrainingRequest, number: int) -> GenerationRequest:
    width, height = square(request.size)
    return GenerationRequest(
        prompt=request.class_prompt or "",
        negative_prompt=request.class_negative_prompt,
        model=request.model,
        width=width,
        height=height,
        steps=CALLS,
        guidance=7.0,
        sampler="DPM++ 2M",
        schedule="karras",
        seed=(request.seed + 1 + number) % 2**32,
        file_type="png",
        quality=100,
        clip_skip=None,
        loras=(),
        hires=None,
        refiner=None,
    )


def _quietly(
    painting: Generator[Moment, Tensor | None, None],
) -> Generator[Moment, Tensor | None, Image.Image]:
    """Ask what it asks, and tell nobody how far it is."""
    answer: Tensor | None = None
    try:
        while True:
            with torch.inference_mode():  # which a training is not stepped in
                moment = painting.send(answer)
            answer = (yield moment) if isinstance(moment, Call | Pause) else None
            if isinstance(moment, Rendered):
                return Image.open(io.BytesIO(moment.content))
    finally:
        painting.close()
