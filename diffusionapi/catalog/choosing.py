"""What is taken when a request says what it wants, and not by which of the installed files."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from diffusionapi.core.names import fold, near
from diffusionapi.errors import BadRequest, BrokenModel, UnknownName, names_known
from diffusionapi.weights import controlnets

if TYPE_CHECKING:
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.catalog.scan import Installed
    from diffusionapi.weights.families import Family

_BEST_UPSCALERS = ("real esrgan", "realesrgan", "realesr", "ultrasharp", "esrgan")
"""What is in their names, the best first."""
_ALWAYS_THERE = "Lanczos"
_LATENT = "Latent"

_EYES: dict[str, tuple[str, ...]] = {
    "canny": ("canny", "edges"),
    "segmentation": ("segmentation", "seg"),
    "softedge": ("softedge", "hed"),
    "hed": ("hed", "softedge"),
    "normal": ("normalbae", "normal"),
    "qrcode": ("qrcode", "qr", "monster"),
    "face_detector": ("face",),
    "aesthetic-controlnet": ("aesthetic",),
}
"""What a ControlNet looks at -> what files of such are called by, where that is not the same word."""


def best_upscaler(catalog: Catalog) -> str:
    """Of those that are installed; one is always there."""
    files = [one.name for one in catalog.upscalers if one.path is not None]
    for word in _BEST_UPSCALERS:
        for name in files:
            if word in fold(name):
                return name
    return files[0] if files else _ALWAYS_THERE


def picture_upscaler(catalog: Catalog, name: str | None, field: str) -> str:
    """The upscaler of this name, without one the best; BadRequest for one that makes no pictures larger."""
    if name is None:
        return best_upscaler(catalog)
    fit = [one.name for one in catalog.upscalers if not one.name.startswith(_LATENT)]
    try:
        found = catalog.upscaler(name, field).name
    except UnknownName as error:
        raise UnknownName(field, error.kind, name, near(name, fit), fit) from error
    if found.startswith(_LATENT):
        raise BadRequest(field, f"{found!r} makes latents larger, and no pictures; {names_known(fit)}")
    return found


def family_of(catalog: Catalog, model: Installed) -> Family | None:
    """None where the files do not say; whether they can be used at all is looked at with all else."""
    with suppress(BrokenModel):
        if found := catalog.found_model(model):
            return found.family
    return None


def controlnet_by(
    catalog: Catalog, name: str, eyes: tuple[str, ...], family: Family | None, field: str
) -> tuple[Installed, str | None]:
    """The ControlNet of this name, else one that looks at what is called so, which is then told."""
    try:
        return catalog.controlnet(name, field), None
    except UnknownName:
        eye = next((one for one in eyes if fold(one) == fold(name)), None)
        if eye is None:
            raise
        return controlnet_for(catalog, eye, family, field), eye


def controlnet_for(catalog: Catalog, eye: str, family: Family | None, field: str) -> Installed:
    """The ControlNet that looks at canny, depth, …: its name says so, and it fits the model's family."""
    words = _EYES.get(eye, (eye,))
    named = [one for word in words for one in catalog.controlnets if _says(one.name, word)]
    for one in named:
        if family is None or _family(one) in (family, None):
            return one
    if named:
        raise BadRequest(
            field, f"{named[0].name!r} was made for another kind of model, as is all else for {eye!r}"
        )
    known = [one.name for one in catalog.controlnets]
    raise UnknownName(field, "ControlNet", eye, [], known)


def eye_of(name: str, eyes: tuple[str, ...]) -> str | None:
    """What a ControlNet looks at, as its name says; None where it says nothing."""
    for eye in eyes:
        if any(_says(name, word) for word in _EYES.get(eye, (eye,))):
            return eye
    return None


def _says(name: str, word: str) -> bool:
    said = fold(name)
    return word in said.split() if len(word) < 4 else word in said


def _family(net: Installed) -> Family | None:
    """None of a file that cannot be read: whoever uses it will be told."""
    assert net.path is not None
    with suppress(BrokenModel):
        return controlnets.inspect(net.path).family
    return None
