"""The one request that every dialect is translated to: resolved, complete, without defaults.

Names in it are the catalog's own names; whatever a client may leave open has been decided before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FileType = Literal["jpg", "png"]
Resize = Literal["stretch", "crop", "fill"]
"""How a picture comes to another shape: squeezed into it, cut to it, or with its edges drawn out."""
Fill = Literal["original", "blurred", "noise", "blank"]
"""What the masked part holds before it is painted: itself, its blurred surroundings, noise, or zeros."""
Tiling = Literal["none", "horizontal", "both"]
"""Along which axes the picture's opposite edges fit together."""
Blanking = Literal["black", "blurred", "pixelated", "text"]
"""What becomes of a picture that a safety checker objects to; text is a white picture that says so."""
Safety = Literal["off", "available", "required"]
"""Whether the finished picture is checked: never, when a checker is installed, or not without one."""
SafetyPolicy = Literal["asked", "available", "required"]
"""What the operator says of it: as the request asks, or the same for all."""


@dataclass(frozen=True, slots=True)
class Lora:
    """How strongly a LoRA acts on the UNet and on the text encoders."""

    name: str
    scale: float
    text_encoder_scale: float


@dataclass(frozen=True, slots=True)
class Hires:
    """A second pass at a larger size."""

    scale: float
    upscaler: str
    steps: int
    denoising_strength: float


@dataclass(frozen=True, slots=True)
class Refiner:
    """Another model takes over when `switch_at` of the noise levels are done (0..1)."""

    model: str
    switch_at: float


@dataclass(frozen=True, slots=True)
class Mask:
    """The white part of a picture of the same shape as the source is painted anew, the black part is kept."""

    upload: str
    """The name of the mask among the uploads."""
    blur: float
    """Of its edge, in pixels of the result."""
    invert: bool
    fill: Fill
    only_masked: bool
    """Paint the masked region at the full size of the request, and set the result back into the source."""
    padding: int
    """Pixels around the region that are painted with it, when `only_masked`."""


@dataclass(frozen=True, slots=True)
class Source:
    """The picture to start from, instead of noise alone."""

    upload: str
    """Its name among the uploads."""
    strength: float
    """How much of the way from noise is gone again: 0 keeps the picture, 1 next to nothing."""
    resize: Resize
    mask: Mask | None


@dataclass(frozen=True, slots=True)
class Control:
    """A ControlNet and the picture whose lines, depth, poses … it holds the new picture to."""

    net: str
    upload: str
    """The name of that picture among the uploads."""
    hint: str
    """What reads it, one of `core.hints`; "none": the picture is what the net wants to see already."""
    scale: float
    start: float
    end: float
    """It acts from here to there of the steps (0..1)."""
    guess: bool
    """Only the wanted side hears it, deeper layers more, so that it works without words, too."""


@dataclass(frozen=True, slots=True)
class Upscale:
    """The finished picture is made larger."""

    upscaler: str
    scale: float
    faces: bool
    """Faces are restored, too."""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    prompt: str
    negative_prompt: str
    model: str
    width: int
    height: int
    steps: int
    guidance: float
    sampler: str
    schedule: str
    seed: int
    file_type: FileType
    quality: int
    clip_skip: int | None
    loras: tuple[Lora, ...]
    hires: Hires | None
    refiner: Refiner | None
    source: Source | None = None
    safety: Safety = "off"
    blanking: Blanking = "black"
    controls: tuple[Control, ...] = ()
    self_attention: float = 0.0
    """How strongly the picture is led away from what it would be without its own attention (SAG); 0: not."""
    tiling: Tiling = "none"
    vae: str | None = None
    """Decodes in place of the model's own."""
    upscale: Upscale | None = None
    translate: bool = False
    """The prompts may be in any language; they are told to the model in English."""
    kind: Literal["generation"] = "generation"

    @property
    def uploads(self) -> tuple[str, ...]:
        """The uploads that this request needs until its job has ended."""
        names = [one.upload for one in self.controls]
        if self.source is not None:
            names.append(self.source.upload)
            if self.source.mask is not None:
                names.append(self.source.mask.upload)
        return tuple(names)

    @property
    def final_size(self) -> tuple[int, int]:
        """Width and height of the picture that is painted, in pixels; if only a masked part of a source is
        painted, that of this part, and what comes out is as large as the source. `upscale` comes after it."""
        if self.hires is None:
            return self.width, self.height
        return _on_grid(self.width * self.hires.scale), _on_grid(self.height * self.hires.scale)


def _on_grid(pixels: float) -> int:
    """The latent grid has cells of 8 pixels, and what does not fill one is cut off."""
    return int(pixels) // 8 * 8


def safety(policy: SafetyPolicy, *, asked: bool) -> Safety:
    if policy == "asked":
        return "available" if asked else "off"
    return policy
