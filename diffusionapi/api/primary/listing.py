"""What models and LoRAs are, for lists that are asked for details."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.api.primary.schemas import LoraDetails, ModelDetails
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
