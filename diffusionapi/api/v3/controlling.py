"""What the fields about ControlNets mean: which nets, what they look at, and how strongly each acts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.api.v3.generation_schemas import Controlled
from diffusionapi.api.v3.naming import strength
from diffusionapi.catalog.choosing import controlnet_by, eye_of
from diffusionapi.core.hints import HINTS
from diffusionapi.core.names import fold
from diffusionapi.errors import BadRequest

if TYPE_CHECKING:
    from diffusionapi.api.v3.generation_schemas import Generation
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.catalog.scan import Installed
    from diffusionapi.weights.families import Family

NETS, TYPES = "controlnet_model", "controlnet_type"
_NO_HINT = "none"
_FACES = "face_detector"
_AS_THEY_ARE = ("aesthetic-controlnet", "qrcode")
"""Looked at as they are."""
EYES = (*(one for one in HINTS if one != _NO_HINT), *_AS_THEY_ARE, _FACES)
"""What ControlNets look at, by the names of this API."""


@dataclass(frozen=True, slots=True)
class Net:
    what: Installed
    eye: str
    """What it looks at, or "none" if nothing says so."""
    hint: str
    """What reads that from the picture, one of `core.hints`."""
    scale: float


def nets(body: Generation, catalog: Catalog, family: Family | None) -> tuple[Net, ...]:
    """Those of a request that may name some; BadRequest, naming the field."""
    if not isinstance(body, Controlled):
        return ()
    found = []
    for place, name in enumerate(body.controlnet_model):
        what, eye = _net(name, _type(body, place), catalog, family)
        hint = _hint(body, eye)
        if (problem := catalog.hint_ready(hint)) is not None:
            raise BadRequest("auto_hint", problem)
        found.append(Net(what, eye, hint, strength(body.controlnet_conditioning_scale, place)))
    return tuple(found)


def _type(body: Controlled, place: int) -> str | None:
    """What the net at this place is said to look at."""
    given = body.controlnet_type
    if not given:
        return None
    said = given[min(place, len(given) - 1)]
    for eye in EYES:
        if fold(eye) == fold(said):
            return eye
    raise BadRequest(TYPES, f"unknown {said!r}; use {', '.join(EYES)}")


def _net(name: str, said: str | None, catalog: Catalog, family: Family | None) -> tuple[Installed, str]:
    """By the name of its file, else by what it looks at."""
    what, eye = controlnet_by(catalog, name, EYES, family, NETS)
    return what, eye or said or eye_of(what.name, EYES) or _NO_HINT


def _hint(body: Controlled, eye: str) -> str:
    if eye == "inpaint":
        return eye
    wanted = body.auto_hint if body.auto_hint is not None else body.control_image is None
    if not wanted or eye in _AS_THEY_ARE:
        return _NO_HINT
    if eye == _FACES:
        raise BadRequest(
            "auto_hint", "nothing here reads faces; give a control_image that shows their lines, and say no"
        )
    return eye
