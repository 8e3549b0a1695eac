"""The pictures that a request comes with, taken in: what it begins from, and what ControlNets look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from diffusionapi.api.v3.generation_schemas import Controlled, Img2Img, Inpaint
from diffusionapi.core.request import Control, Mask, Source

if TYPE_CHECKING:
    from diffusionapi.api.v3.controlling import Net
    from diffusionapi.api.v3.generation_schemas import Generation
    from diffusionapi.intake.intake import Intake

_SHOWN = 32
"""Characters of a picture in base64 that an answer repeats."""
_STRENGTH = 0.55
"""How much of `init_image` may change beside a `control_image`, where a request does not say."""


@dataclass(frozen=True, slots=True)
class Beginning:
    source: Source | None = None
    controls: tuple[Control, ...] = ()
    shown: dict[str, str | None] = field(default_factory=dict)
    """The pictures as answers repeat them, by their fields."""


async def beginning(body: Generation, nets: tuple[Net, ...], intake: Intake, here: str) -> Beginning:
    """BadPicture, naming the field."""
    if isinstance(body, Controlled):
        return await _controlled(body, nets, intake, here)
    if not isinstance(body, Img2Img):
        return Beginning()
    picture = await intake.picture(body.init_image, "init_image", here=here)
    mask, shown = None, {"init_image": _as_shown(body.init_image)}
    if isinstance(body, Inpaint):
        mask = await intake.mask(body.mask_image, "mask_image", here=here)
        shown["mask_image"] = _as_shown(body.mask_image)
    return Beginning(_source(picture, body.strength, mask), shown=shown)


async def _controlled(body: Controlled, nets: tuple[Net, ...], intake: Intake, here: str) -> Beginning:
    first = mask = looked_at = None
    if body.init_image is not None:
        first = await intake.picture(body.init_image, "init_image", here=here)
    if body.control_image is not None:
        looked_at = await intake.picture(body.control_image, "control_image", here=here)
    if body.mask_image is not None:
        mask = await intake.mask(body.mask_image, "mask_image", here=here)
    strength = controlled_strength(body)
    source = _source(first, strength, mask) if first is not None and strength is not None else None
    upload = looked_at or first
    assert upload is not None
    return Beginning(
        source,
        tuple(_control(one, upload, first, guess=body.guess_mode) for one in nets),
        {name: _as_shown(getattr(body, name)) for name in ("init_image", "mask_image", "control_image")},
    )


def controlled_strength(body: Controlled) -> float | None:
    """How much of `init_image` may change; None if nothing begins from it, and it is looked at only."""
    if body.strength is not None and body.init_image is not None:
        return body.strength
    if body.mask_image is not None:
        return 1.0
    return _STRENGTH if body.init_image is not None and body.control_image is not None else None


def _control(net: Net, upload: str, first: str | None, *, guess: bool) -> Control:
    # What an inpaint net looks at is the picture that the mask is of.
    seen = first if net.hint == "inpaint" and first is not None else upload
    return Control(net.what.name, seen, net.hint, net.scale, start=0.0, end=1.0, guess=guess)


def _source(upload: str, strength: float, mask: str | None) -> Source:
    masked = None
    if mask is not None:
        masked = Mask(upload=mask, blur=0, invert=False, fill="original", only_masked=False, padding=0)
    return Source(upload, strength, "crop", masked)


def _as_shown(given: str | None) -> str | None:
    if given is None or given.lower().startswith(("http://", "https://", "/")):
        return given
    return f"{given[:_SHOWN]}…"
