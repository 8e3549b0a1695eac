"""The ControlNets of a request: which are meant, and what they look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffusionapi.catalog.choosing import controlnet_by, family_of
from diffusionapi.core.hints import HINTS
from diffusionapi.core.request import Control
from diffusionapi.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from diffusionapi.api.primary.schemas import ControlUse, Txt2ImgRequest
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.catalog.scan import Installed
    from diffusionapi.core.request import Source
    from diffusionapi.weights.families import Family

    Take = Callable[[str, str], Awaitable[str]]

_AS_IT_IS, _BLOTTED = "none", "inpaint"
EYES = tuple(one for one in HINTS if one != _AS_IT_IS)
"""What ControlNets look at, by the names of this API."""


@dataclass(frozen=True, slots=True)
class Net:
    what: Installed
    use: ControlUse
    place: str
    """Where in the request it is asked for."""


def nets(body: Txt2ImgRequest, catalog: Catalog, model: Installed) -> tuple[Net, ...]:
    """BadRequest, naming the field; looks at files."""
    family, found = family_of(catalog, model), []
    for number, use in enumerate(body.controls):
        place = f"controls[{number}]"
        if use.end <= use.start:
            raise BadRequest(f"{place}.end", f"must be greater than start, {use.start:g}, got {use.end:g}")
        if (problem := catalog.hint_ready(use.hint)) is not None:
            raise BadRequest(f"{place}.hint", problem)
        found.append(Net(_meant(use, f"{place}.model", catalog, family), use, place))
    return tuple(found)


def _meant(use: ControlUse, field: str, catalog: Catalog, family: Family | None) -> Installed:
    name = use.model or use.hint
    if name == _AS_IT_IS:
        raise BadRequest(field, "is required where hint does not say what it looks at")
    return controlnet_by(catalog, name, EYES, family, field)[0]


async def controls(asked: tuple[Net, ...], source: Source | None, take: Take) -> tuple[Control, ...]:
    """With their pictures as uploads, which `take` makes of a picture and the name of its field."""
    for one in asked:
        if one.use.image is None and source is None:
            raise BadRequest(f"{one.place}.image", "is required, since there is no picture to begin with")
        if one.use.hint == _BLOTTED and (source is None or source.mask is None):
            raise BadRequest(f"{one.place}.hint", "'inpaint' is for a picture with a mask")
    return tuple([await _control(one, source, take) for one in asked])


async def _control(net: Net, source: Source | None, take: Take) -> Control:
    use = net.use
    if use.image is not None:
        upload = await take(use.image, f"{net.place}.image")
    else:
        assert source is not None
        upload = source.upload
    return Control(net.what.name, upload, use.hint, use.weight, use.start, use.end, use.guess_mode)


def shown(asked: tuple[Net, ...], taken: tuple[Control, ...]) -> list[dict[str, Any]]:
    """As an answer repeats them: without pictures, by the names that the client used."""
    return [
        net.use.model_dump() | {"model": net.use.model or control.net, "image": control.upload}
        for net, control in zip(asked, taken, strict=True)
    ]
