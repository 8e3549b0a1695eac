"""Whether what a request names can be used and goes together, told from the files before the job waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.errors import BadRequest, BrokenModel, UnknownName
from diffusionapi.weights import vaes
from diffusionapi.weights.families import LABELS
from diffusionapi.weights.lora_kind import labels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.catalog.scan import Installed
    from diffusionapi.weights.inspection import Found
    from diffusionapi.weights.lora_kind import FoundLora


@dataclass(frozen=True, slots=True)
class Named:
    """Something installed, and the field of the request that names it."""

    what: Installed
    field: str


def check(
    catalog: Catalog,
    model: Named,
    refiner: Named | None,
    loras: Iterable[Named],
    *,
    vae: Named | None = None,
    controls: Iterable[Named] = (),
) -> None:
    """BadRequest, naming the field, unless all can be used together. The engine looks again: files change."""
    found = _model(catalog, model)
    if found is not None and found.family == "refiner":
        raise BadRequest(
            model.field, f"{model.what.name!r} is an SDXL refiner; name it as the refiner of an SDXL model"
        )
    if refiner is not None:
        _check_refiner(catalog, model, found, refiner)
    for lora in loras:
        _check_lora(catalog, model, found, lora)
    if vae is not None:
        _check_vae(catalog, found, vae)
    for net in controls:
        _check_control(catalog, model, found, net)


def _check_refiner(catalog: Catalog, model: Named, base: Found | None, refiner: Named) -> None:
    found = _model(catalog, refiner)
    if found is not None and found.family != "refiner":
        raise BadRequest(
            refiner.field, f"{refiner.what.name!r} is {LABELS[found.family]}; name an SDXL refiner, or none"
        )
    if base is not None and base.family != "sdxl":
        raise BadRequest(
            refiner.field,
            f"a refiner goes with SDXL models only, and {model.what.name!r} is {LABELS[base.family]}",
        )


def _check_lora(catalog: Catalog, model: Named, base: Found | None, lora: Named) -> None:
    found = _lora(catalog, lora)
    if base is None:
        return
    name, family = lora.what.name, LABELS[base.family]
    if not found.families:
        raise BadRequest(lora.field, f"{name!r} has layers of several families and fits none")
    if base.family not in found.families:
        raise BadRequest(
            lora.field,
            f"{name!r} was made for {labels(found.families)}, and the model {model.what.name!r} is {family}",
        )
    if found.text_width and base.text_width and found.text_width != base.text_width:
        raise BadRequest(
            lora.field,
            f"{name!r} was made for a model that is told {found.text_width} values of each token, and "
            f"{model.what.name!r} is told {base.text_width}",
        )


def _check_control(catalog: Catalog, model: Named, base: Found | None, net: Named) -> None:
    try:
        family = catalog.found_controlnet(net.what).family
    except BrokenModel as error:
        raise _unusable(net, "ControlNet", error) from error
    if base is not None and base.family != family:
        raise BadRequest(
            net.field,
            f"{net.what.name!r} was made for {LABELS[family]}, and the model {model.what.name!r} is "
            f"{LABELS[base.family]}",
        )


def _check_vae(catalog: Catalog, base: Found | None, vae: Named) -> None:
    try:
        found = catalog.found_vae(vae.what)
        problem = vaes.unfit(found, base) if base is not None else None
    except BrokenModel as error:
        raise _unusable(vae, "VAE", error) from error
    if problem:
        raise BadRequest(vae.field, f"{vae.what.name!r} {problem}")


def _model(catalog: Catalog, named: Named) -> Found | None:
    try:
        return catalog.found_model(named.what)
    except BrokenModel as error:
        raise _unusable(named, "model", error) from error


def _lora(catalog: Catalog, named: Named) -> FoundLora:
    try:
        return catalog.found_lora(named.what)
    except BrokenModel as error:
        raise _unusable(named, "LoRA", error) from error
    except BadRequest as error:
        raise BadRequest(named.field, error.problem) from error


def _unusable(named: Named, kind: str, error: BrokenModel) -> BadRequest:
    """What went away since the folders were looked through is as unknown as if it had never been there."""
    if named.what.there:
        return BadRequest(named.field, error.sentence)
    return UnknownName(named.field, kind, named.what.name, (), ())
