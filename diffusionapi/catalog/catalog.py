"""Looks names up among what is installed, as people write them; an unknown name comes with near ones."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from diffusionapi.catalog import safety, scan
from diffusionapi.catalog.labels import read_labels
from diffusionapi.catalog.looks import Looks
from diffusionapi.catalog.scan import Installed
from diffusionapi.core.names import fold, near
from diffusionapi.errors import BadRequest, UnknownName
from diffusionapi.weights import inspection, lora_kind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from diffusionapi.settings import Settings
    from diffusionapi.weights.inspection import Found
    from diffusionapi.weights.lora_kind import FoundLora

BUNDLED_MODEL = "picturebook"
USUAL_MODELS = ("stable-diffusion-v1-5", BUNDLED_MODEL)
"""What a request that names no model gets, the first of them that is installed."""
BUILT_IN_UPSCALERS = (
    "Latent",
    "Latent (antialiased)",
    "Latent (bicubic)",
    "Latent (bicubic antialiased)",
    "Latent (nearest)",
    "Latent (nearest-exact)",
    "Lanczos",
    "Nearest",
)
_FRESH_SECONDS = 2.0
"""A model copied into its folder, or changed there, is seen after this long at the latest."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    taken: float
    models: list[Installed]
    loras: list[Installed]
    upscalers: list[Installed]
    embeddings: list[Installed]
    controlnets: list[Installed]
    vaes: list[Installed]
    model_looks: Looks[Found]
    lora_looks: Looks[FoundLora]


class Catalog:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._built_in = [Installed("fake", None)] if settings.engine == "fake" else []
        self._snapshot: _Snapshot | None = None

    @property
    def models(self) -> list[Installed]:
        return self._fresh().models

    @property
    def loras(self) -> list[Installed]:
        return self._fresh().loras

    @property
    def upscalers(self) -> list[Installed]:
        return self._fresh().upscalers

    @property
    def embeddings(self) -> list[Installed]:
        return self._fresh().embeddings

    @property
    def controlnets(self) -> list[Installed]:
        return self._fresh().controlnets

    @property
    def vaes(self) -> list[Installed]:
        return self._fresh().vaes

    @property
    def labels(self) -> dict[str, str]:
        """Name -> label, of all models the operator labelled, installed or not."""
        return read_labels(self._settings.path(self._settings.model_labels))

    def model(self, name: str, field: str) -> Installed:
        """A model by name, label, `org/name`, bare name or file stem."""
        labels = self.labels
        by_spelling = _spellings(self.models, labels)
        found = by_spelling.get(fold(name), [])
        exact = [one for one in found if one.name == name] or found
        if len(exact) == 1:
            return exact[0]
        if exact:
            raise BadRequest(field, f"{name!r} could be {' or '.join(one.name for one in exact)}; say which")
        for labelled, label in labels.items():
            if fold(name) in (fold(label), fold(labelled)):
                raise BadRequest(field, f"model {name!r} ({labelled}) is not installed")
        known = [labels.get(one.name, one.name) for one in self.models]
        raise UnknownName(
            field, "model", name, near(name, [*known, *(one.name for one in self.models)]), known
        )

    def default_model(self, field: str) -> Installed:
        """The model of a request that names none."""
        if self._settings.default_model:
            return self.model(self._settings.default_model, field)
        spellings = _spellings(self.models, {})
        found = [one for usual in USUAL_MODELS for one in spellings.get(fold(usual), [])] or self.models
        if not found:
            raise BadRequest(field, "no model is installed; put one into stable_diffusion/models")
        return found[0]

    def lora(self, name: str, field: str) -> Installed:
        return _pick(self.loras, name, field, "LoRA")

    def upscaler(self, name: str, field: str) -> Installed:
        return _pick(self.upscalers, name, field, "upscaler")

    def embedding(self, name: str, field: str) -> Installed:
        return _pick(self.embeddings, name, field, "textual inversion")

    def controlnet(self, name: str, field: str) -> Installed:
        return _pick(self.controlnets, name, field, "ControlNet")

    def vae(self, name: str, field: str) -> Installed:
        return _pick(self.vaes, name, field, "VAE")

    def safety_checker(self, model: Installed | None) -> Path | None:
        """The folder of what checks a model's pictures (None: of any model), None if nothing does."""
        return safety.find(model, self._settings)

    def found_model(self, model: Installed) -> Found | None:
        """What lies in a model's files, None for what is built in; BrokenModel if it cannot be used."""
        return self._fresh().model_looks.at(model.path) if model.path else None

    def found_lora(self, lora: Installed) -> FoundLora:
        """What a LoRA was made for; BrokenModel or BadRequest if it cannot be used."""
        assert lora.path is not None
        return self._fresh().lora_looks.at(lora.path)

    def _fresh(self) -> _Snapshot:
        snapshot, now = self._snapshot, time.monotonic()
        if snapshot is None or now - snapshot.taken > _FRESH_SECONDS:
            settings = self._settings
            snapshot = self._snapshot = _Snapshot(
                now,
                [*self._built_in, *scan.models(settings)],
                scan.files(settings.path(settings.loras_dir), ".safetensors"),
                [
                    *(Installed(name, None) for name in BUILT_IN_UPSCALERS),
                    *scan.files(settings.path(settings.upscalers_dir), ".pth", ".safetensors"),
                ],
                scan.files(settings.path(settings.embeddings_dir), ".safetensors", ".pt", ".bin"),
                scan.parts(settings.path(settings.controlnet_dir)),
                scan.parts(settings.path(settings.vaes_dir)),
                Looks(partial(inspection.inspect, pickles=settings.allow_pickles)),
                Looks(lora_kind.inspect),
            )
        return snapshot


def _pick(installed: list[Installed], name: str, field: str, kind: str) -> Installed:
    for one in installed:
        if one.name == name:
            return one
    for one in installed:
        if fold(one.name) == fold(name):
            return one
    known = [one.name for one in installed]
    raise UnknownName(field, kind, name, near(name, known), known)


def _spellings(models: Iterable[Installed], labels: dict[str, str]) -> dict[str, list[Installed]]:
    """Every folded spelling of every installed model."""
    found: dict[str, list[Installed]] = {}
    for model in models:
        spellings = {model.name, labels.get(model.name, model.name)}
        parts = model.name.removeprefix("models--").replace("__", "--").split("--")
        if len(parts) == 2:
            spellings |= {"/".join(parts), parts[1]}
        for spelling in {fold(one) for one in spellings}:
            found.setdefault(spelling, []).append(model)
    return found
