"""What latents are painted on: the original around a hole, and what a network for holes is told of it.

The channels of such a network follow the latents: the mask, and the picture without what is masked
(diffusers' StableDiffusionInpaintPipeline). It knows what is around the hole, so nothing is put back there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from diffusionapi.engine import autoencoder
from diffusionapi.engine.denoiser import Call
from diffusionapi.engine.samplers.schedules import WITH_TIMESTEPS
from diffusionapi.engine.upscalers.latent import PIXELS_PER_CELL

if TYPE_CHECKING:
    from PIL import Image

    from diffusionapi.core.request import Fill
    from diffusionapi.engine.control.acting import Acting
    from diffusionapi.engine.denoiser import Weights, Words
    from diffusionapi.engine.img2img.canvas import Canvas
    from diffusionapi.engine.samplers.sampler import Ask
    from diffusionapi.engine.samplers.schedules import Plan
    from diffusionapi.engine.scene import Scene


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """What stays as it is. Samplers with timesteps have it, noised, put into what they ask about; to the
    others it is put into the answer, so that they lead there by themselves."""

    original: Tensor
    hole: Tensor
    """True where it is painted; (1, h, w)."""
    noise: Tensor
    in_questions: bool

    def question(self, x: Tensor, sigma: float) -> Tensor:
        if not self.in_questions:
            return x
        return torch.where(self.hole, x, self.original + self.noise * sigma)

    def answer(self, denoised: Tensor) -> Tensor:
        return denoised if self.in_questions else self.joined(denoised)

    def joined(self, latents: Tensor) -> Tensor:
        return torch.where(self.hole, latents, self.original)


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """One or the other: `channels` for a network that takes them."""

    channels: Tensor | None = None
    around: Around | None = None
    canvas: Canvas | None = None
    """What is painted is set into it in the end."""

    def call(
        self, weights: Weights, ask: Ask, words: Words, guidance: float, controls: tuple[Acting, ...] = ()
    ) -> Call:
        x = self.around.question(ask.x, ask.sigma) if self.around else ask.x
        channels = self.channels if weights.model.paints_holes else None
        return Call(weights, x, ask.sigma, words, guidance, channels, controls)

    def answered(self, denoised: Tensor) -> Tensor:
        return self.around.answer(denoised) if self.around else denoised

    def joined(self, latents: Tensor) -> Tensor:
        return self.around.joined(latents) if self.around else latents


def bare(scene: Scene, size: tuple[int, int]) -> Ground:
    """For a picture of this size that starts from noise, or from a picture that may change everywhere."""
    if not scene.model.paints_holes:
        return Ground()
    width, height = size
    grey = autoencoder.encode_pixels(scene.coder, torch.zeros(3, height, width), scene.request.tiling)
    return Ground(torch.cat([torch.ones_like(grey[:1]), grey]))


def begin(scene: Scene, canvas: Canvas, planned: Plan, noise: Tensor) -> tuple[Tensor, Ground]:
    """The first latents of a picture on a canvas, and their ground."""
    request = scene.request
    latents = autoencoder.encode(scene.coder, canvas.picture, request.tiling)
    asked = request.source.mask if request.source else None
    if asked is None or canvas.mask is None:
        return planned.start(noise, latents), replace(bare(scene, canvas.picture.size), canvas=canvas)
    hole = _hole(canvas.mask, latents)
    start = planned.start(noise, _filled(latents, hole, noise, asked.fill))
    if scene.model.paints_holes:
        return start, Ground(_channels(scene, canvas.picture, canvas.mask), canvas=canvas)
    around = Around(latents, hole, noise, request.sampler in WITH_TIMESTEPS)
    return start, Ground(around=around, canvas=canvas)


def _hole(mask: Image.Image, latents: Tensor) -> Tensor:
    """A cell is painted if most of it is, as A1111 has it."""
    height, width = latents.shape[-2:]
    levels = np.asarray(mask.resize((width, height)), dtype=np.float32)
    return torch.from_numpy(levels > 255 / 2)[None].to(latents.device)


def _filled(latents: Tensor, hole: Tensor, noise: Tensor, fill: Fill) -> Tensor:
    match fill:
        case "noise":
            return torch.where(hole, noise, latents)
        case "blank":
            return torch.where(hole, torch.zeros_like(latents), latents)
        case _:
            return latents


def _channels(scene: Scene, picture: Image.Image, mask: Image.Image) -> Tensor:
    hole = torch.from_numpy(np.asarray(mask) > 255 / 2)[None]
    pixels = autoencoder.pixels(picture).masked_fill(hole, 0)
    known = autoencoder.encode_pixels(scene.coder, pixels, scene.request.tiling)
    height, width = (side // PIXELS_PER_CELL for side in hole.shape[-2:])
    cells = functional.interpolate(hole[None].float(), size=(height, width))[0]
    return torch.cat([cells.to(known.device), known])
