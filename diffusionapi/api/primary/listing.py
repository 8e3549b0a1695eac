"""What models, LoRAs, ControlNets and VAEs are, for lists that are asked for details."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.api.primary.control import EYES
from diffusionapi.api.primary.lists_schemas import (
    ControlNetDetails,
    ControlNetInfo,
    LoraDetails,
    ModelDetails,
    VaeDetails,
)
from diffusionapi.catalog.choosing import eye_of
from diffusionapi.errors import BadRequest, BrokenModel, Error

if TYPE_CHECKING:
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.catalog.scan import Installed


def models(catalog: Catalog) -> list[ModelDetails]:
    labels = catalog.labels
    return [_model(catalog, one, labels.get(one.name, one.name)) for one in catalog.models]


def _model(catalog: Catalog, model: Installed, label: str) -> ModelDetails:
    found = problem = None
    try:
        found = catalog.found_model(model)
    except BrokenModel as error:
        problem = error.sentence
    return ModelDetails(
        name=model.name,
        label=label,
        family=found.family if found else None,
        prediction=found.prediction if found else None,
        size_bytes=found.bytes if found else None,
        problem=problem,
    )


def loras(catalog: Catalog) -> list[LoraDetails]:
    return [_lora(catalog, one) for one in catalog.loras]


def _lora(catalog: Catalog, lora: Installed) -> LoraDetails:
    try:
        found = catalog.found_lora(lora)
    except Error as error:
        problem = error.problem if isinstance(error, BadRequest) else error.sentence
        return LoraDetails(name=lora.name, scale=1.0, families=[], size_bytes=None, problem=problem)
    return LoraDetails(
        name=lora.name, scale=1.0, families=list(found.families), size_bytes=found.bytes, problem=None
    )


def controlnet(net: Installed) -> ControlNetInfo:
    return ControlNetInfo(name=net.name, hint=eye_of(net.name, EYES))


def controlnets(catalog: Catalog) -> list[ControlNetDetails]:
    return [_controlnet(catalog, one) for one in catalog.controlnets]


def _controlnet(catalog: Catalog, net: Installed) -> ControlNetDetails:
    found = problem = None
    try:
        found = catalog.found_controlnet(net)
    except BrokenModel as error:
        problem = error.sentence
    return ControlNetDetails(
        **controlnet(net).model_dump(),
        family=found.family if found else None,
        size_bytes=found.bytes if found else None,
        problem=problem,
    )


def vaes(catalog: Catalog) -> list[VaeDetails]:
    return [_vae(catalog, one) for one in catalog.vaes]


def _vae(catalog: Catalog, vae: Installed) -> VaeDetails:
    problem = None
    try:
        catalog.found_vae(vae)
    except BrokenModel as error:
        problem = error.sentence
    return VaeDetails(name=vae.name, problem=problem)
