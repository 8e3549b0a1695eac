"""LoRAs named inside a prompt, as users of AUTOMATIC1111 write them: `<lora:name:0.8>`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from diffusionapi.errors import BadRequest

NUMBER = r"[+-]?(?:[0-9]{1,9}(?:\.[0-9]*)?|\.[0-9]+)"

_NUMBER = re.compile(NUMBER)
_LORA = re.compile(r"<(?:lora|lyco):([^<>]*)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LoraTag:
    """`<lora:name:0.8>`: `scale` is for the UNet, and for the text encoders too unless the tag says more."""

    name: str
    scale: float
    text_encoder_scale: float


def take_loras(text: str) -> tuple[str, list[LoraTag]]:
    """The text without its LoRA tags, and the tags in their order; other `<...>` stays text."""
    tags = [_lora(found[0], found[1]) for found in _LORA.finditer(text)]
    return _LORA.sub("", text), tags


def _lora(tag: str, inner: str) -> LoraTag:
    """`name`, `name:both`, `name:text encoder:UNet`, or with the numbers named: `name:te=0.5:unet=1`."""
    name, *arguments = (one.strip() for one in inner.split(":"))
    given: dict[str, float] = {}
    places = iter(("te", "unet"))
    for argument in arguments:
        key, named, value = argument.rpartition("=")
        key = key if named else next(places, "")
        if key not in ("te", "unet") or not _NUMBER.fullmatch(value):
            raise BadRequest("prompt", f"{tag} is not of the form <lora:name:weight>: {argument!r}")
        given[key] = float(value)
    if not name:
        raise BadRequest("prompt", f"{tag} names no LoRA")
    text_encoder = given.get("te", 1.0)
    return LoraTag(name, given.get("unet", text_encoder), text_encoder)
