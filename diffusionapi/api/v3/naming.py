"""What the names in a request stand for: models and trainings, LoRAs, textual inversions, VAEs."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.api.v3.enhancing import joined
from diffusionapi.api.v3.face import UnknownModelId
from diffusionapi.catalog.matching import Named
from diffusionapi.core.request import Lora
from diffusionapi.errors import BadRequest, BrokenModel, UnknownName
from diffusionapi.weights import trained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffusionapi.api.v3.generation_schemas import Generation
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.catalog.scan import Installed

MODEL = "model_id"


@dataclass(frozen=True, slots=True)
class Subject:
    """What paints: a model and, when a training is named, the LoRA and the words that came of it."""

    model: Installed
    lora: Named | None = None
    instance_prompt: str = ""


def subject(name: str | None, catalog: Catalog, *, required: bool) -> Subject:
    """By the id of a model or of a training; UnknownModelId."""
    if name is None:
        if required:
            raise UnknownModelId
        return Subject(_default(catalog))
    try:
        return Subject(catalog.model(name, MODEL))
    except BadRequest as unknown:
        with suppress(UnknownName):
            if (found := _trained(name, catalog)) is not None:
                return found
        raise UnknownModelId(unknown.problem) from unknown


def _default(catalog: Catalog) -> Installed:
    try:
        return catalog.default_model(MODEL)
    except BadRequest as error:
        raise UnknownModelId(error.problem) from error


def _trained(name: str, catalog: Catalog) -> Subject | None:
    lora = catalog.lora(name, MODEL)
    assert lora.path is not None
    try:
        said = trained.read(lora.path)
    except BrokenModel as error:
        if not lora.there:  # it was deleted this instant
            return None
        raise BadRequest(MODEL, error.sentence) from error
    if said is None:
        return None
    try:
        base = catalog.model(said.model, MODEL)
    except BadRequest as error:
        raise UnknownModelId(f"it was trained on {said.model!r}, which is not installed any more") from error
    return Subject(base, Named(lora, MODEL), said.instance_prompt)


def loras(body: Generation, of: Subject, catalog: Catalog) -> list[tuple[Named, Lora]]:
    """Those that are asked for, behind that of the training."""
    found = [(of.lora, Lora(of.lora.what.name, 1.0, 1.0))] if of.lora else []
    for place, name in enumerate(body.lora_model):
        installed = catalog.lora(name, "lora_model")
        scale = strength(body.lora_strength, place)
        found.append((Named(installed, "lora_model"), Lora(installed.name, scale, scale)))
    return found


def strength(given: Sequence[float], place: int) -> float:
    """Of what stands at this place of its list: the last one is that of all further."""
    return given[min(place, len(given) - 1)] if given else 1.0


def prompt(body: Generation, of: Subject, catalog: Catalog) -> str:
    """The prompt with the words that what is named needs in order to act."""
    words = [body.prompt]
    if of.instance_prompt and of.instance_prompt.casefold() not in body.prompt.casefold():
        words.insert(0, of.instance_prompt)
    said = f"{body.prompt}\n{body.negative_prompt}"
    for name in body.embeddings_model:
        installed = catalog.embedding(name, "embeddings_model")
        if not re.search(rf"(?<!\w){re.escape(installed.name)}(?!\w)", said, re.IGNORECASE):
            words.append(installed.name)
    return joined(*words) if len(words) > 1 else body.prompt


def vae(body: Generation, catalog: Catalog) -> Installed | None:
    return catalog.vae(body.vae, "vae") if body.vae else None
