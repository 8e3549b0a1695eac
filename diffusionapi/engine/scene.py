"""What one picture is about: which network answers at which level, and with which words at which step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from diffusionapi.engine.denoiser import Words, timestep

if TYPE_CHECKING:
    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.engine.autoencoder import Coder
    from diffusionapi.engine.control.acting import Acting
    from diffusionapi.engine.control.hold import Hold
    from diffusionapi.engine.denoiser import Weights
    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.engine.passes import Pass
    from diffusionapi.engine.prompts.plan import Conditioning
    from diffusionapi.engine.samplers.levels import NoiseTable

_LOOKS = (6.0, 2.5)
"""Aesthetic scores the refiner is told of the wanted and the unwanted side, as its authors do."""


@dataclass(frozen=True, slots=True)
class Side:
    """A network and what the prompts of a pass mean to it."""

    weights: Weights
    conditioning: Conditioning


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Scene:
    """The sides of each pass: the model's, then the refiner's if there is one."""

    request: GenerationRequest
    first: list[Side]
    second: list[Side]
    coder: Coder
    """What its latents become a picture by, and a picture latents."""
    controls: list[Hold] = field(default_factory=list)

    @property
    def model(self) -> LoadedModel:
        return self.first[0].weights.model

    @property
    def table(self) -> NoiseTable:
        return self.first[0].weights.table

    def at(self, sigma: float, step: int, *, second: bool) -> tuple[Weights, Words]:
        """Who answers at a level, and what about.

        The refiner takes over by level, not by step; where there is a second pass, only in that.
        """
        request = self.request
        sides = self.second if second else self.first
        refine = len(sides) > 1 and (second or request.hires is None)
        side = sides[1] if refine and self._behind(sigma) else sides[0]
        width, height = request.final_size if second else (request.width, request.height)
        good, bad = _sizes(side.weights.model.family, width, height)
        conditioning = side.conditioning
        return side.weights, Words(tuple(conditioning.positive(step)), conditioning.negative(step), good, bad)

    def held(self, weights: Weights, run: Pass, level: float) -> tuple[Acting, ...]:
        """The ControlNets at work; the refiner has other layers than those that SDXL's are made for."""
        if weights.model is not self.model:
            return ()
        return tuple(acting for one in self.controls if (acting := one.at(run, level)) is not None)

    def _behind(self, sigma: float) -> bool:
        """Whether so many of the noise levels lie behind that the refiner is due."""
        refiner = self.request.refiner
        last = len(self.table) - 1
        return refiner is not None and (last - timestep(self.table, sigma)) / (last + 1) >= refiner.switch_at


def _sizes(family: str, width: int, height: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """SDXL is told original size, crop and target size (Podell et al. 2023, arXiv:2307.01952, 2.2)."""
    original = (float(height), float(width), 0.0, 0.0)
    match family:
        case "sdxl":
            sizes = (*original, float(height), float(width))
            return sizes, sizes
        case "refiner":
            good, bad = _LOOKS
            return (*original, good), (*original, bad)
        case _:
            return (), ()
