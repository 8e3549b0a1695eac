"""Looks names up among what is installed, as people write them; an unknown name comes with near ones."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from diffusionapi.catalog import faces, hints, safety, scan, translators
from diffusionapi.catalog.labels import read_labels
from diffusionapi.catalog.looks import Looks
from diffusionapi.catalog.scan import Installed
from diffusionapi.core.names import fold, near
from diffusionapi.errors import BadRequest, BrokenModel, UnknownName, names_known
from diffusionapi.languages.reading import languages_of, read, unclear
from diffusionapi.weights import controlnets, inspection, lora_kind, vaes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from diffusionapi.catalog.translators import Translator
    from diffusionapi.settings import Settings
    from diffusionapi.weights.controlnets import FoundControlNet
    from diffusionapi.weights.inspection import Found
    from diffusionapi.weights.lora_kind import FoundLora
    from diffusionapi.weights.vaes import FoundVae

BUNDLED_MODEL = "picturebook"
USUAL_MODELS = ("stable-diffusion-v1-5", BUNDLED_MODEL)
"""What a request that names no model gets, the first of them that is installed and whole."""
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
"""A model that was removed, or changed in its folder, is told as it was for as long as this at most. A LoRA
that came or went is told at once: a training that is over has it in all lists."""
_UNKNOWN_SECONDS = 0.1
"""A name that is in no list has the folders looked through again when the lists are as old as this."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    taken: float
    loras_changed: int | None
    """When a LoRA last came into their folder, or went."""
    models: list[Installed]
    loras: list[Installed]
    upscalers: list[Installed]
    embeddings: list[Installed]
    controlnets: list[Installed]
    vaes: list[Installed]
    model_looks: Looks[Found]
    lora_looks: Looks[FoundLora]
    vae_looks: Looks[FoundVae]
    controlnet_looks: Looks[FoundControlNet]


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
        return self._found(partial(self._model, name, field))

    def _model(self, name: str, field: str) -> Installed:
        labels = self.labels
        by_spelling = _spellings(self.models, labels)
        found = by_spelling.get(fold(name), [])
        exact = [one for one in found if one.name == name] or found
        if len(exact) == 1:
            return exact[0]
        if exact:
            raise BadRequest(field, f"{name!r} could be {' or '.join(one.name for one in exact)}; say which")
        known = [labels.get(one.name, one.name) for one in self.models]
        for labelled, label in labels.items():
            if fold(name) in (fold(label), fold(labelled)):
                way_out = _way_to(labelled) or names_known(known)
                raise BadRequest(field, f"model {name!r} ({labelled}) is not installed; {way_out}")
        raise UnknownName(
            field, "model", name, near(name, [*known, *(one.name for one in self.models)]), known
        )

    def default_model(self, field: str) -> Installed:
        """The model of a request that names none."""
        if self._settings.default_model:
            return self.model(self._settings.default_model, field)
        return self._found(partial(self._usual, field))

    def _usual(self, field: str) -> Installed:
        spellings = _spellings(self.models, {})
        found = [one for usual in USUAL_MODELS for one in spellings.get(fold(usual), [])] + self.models
        if not found:
            raise BadRequest(field, "no model is installed; put one into stable_diffusion/models")
        # One that is still being downloaded leaves its place to the next; who names it is told what it lacks.
        return next(filter(self._is_whole, found), found[0])

    def _is_whole(self, model: Installed) -> bool:
        try:
            self.found_model(model)
        except BrokenModel:
            return False
        return True

    def lora(self, name: str, field: str) -> Installed:
        return self._found(lambda: _pick(self.loras, name, field, "LoRA"))

    def upscaler(self, name: str, field: str) -> Installed:
        return self._found(lambda: _pick(self.upscalers, name, field, "upscaler"))

    def embedding(self, name: str, field: str) -> Installed:
        return self._found(lambda: _pick(self.embeddings, name, field, "textual inversion"))

    def controlnet(self, name: str, field: str) -> Installed:
        return self._found(lambda: _pick(self.controlnets, name, field, "ControlNet"))

    def vae(self, name: str, field: str) -> Installed:
        return self._found(lambda: _pick(self.vaes, name, field, "VAE"))

    def _found(self, look: Callable[[], Installed]) -> Installed:
        """What a look at the lists finds; if nothing, or what has gone away since, after another one through
        the folders: a LoRA comes in the instant when its training ends, and goes when that is deleted."""
        try:
            if (found := look()).there:
                return found
        except BadRequest:
            snapshot = self._snapshot
            if snapshot is None or self._is_new(snapshot):
                raise
        self._snapshot = None
        return look()

    def safety_checker(self, model: Installed | None) -> Path | None:
        """The folder of what checks a model's pictures (None: of any model), None if nothing does."""
        return safety.find(model, self._settings)

    @property
    def translators(self) -> list[Translator]:
        """What translates prompts to English, the narrowest first."""
        return translators.find(self._settings.path(self._settings.translators_dir))

    def untranslatable(self, *prompts: str) -> str | None:
        """Why these prompts cannot be told to a model in English, None if they can, or are in English. The
        first call takes a second."""
        installed = self.translators
        names = [one.name for one in self.embeddings]
        found = languages_of(prompts, names=names, rather=translators.known(installed))
        return translators.refusal(found, installed, _shown(self._settings.translators_dir))

    def check_languages(self, prompts: Mapping[str, str]) -> str | None:
        """Of prompts by their fields, BadRequest for one that cannot be told to a model in English; else what
        is to be said of words that are taken for English, and may be in another language."""
        installed = self.translators
        telling = {"names": [one.name for one in self.embeddings], "rather": translators.known(installed)}
        for field, passages in zip(prompts, read(list(prompts.values()), **telling), strict=True):
            found = [one.language for one in passages if one.language is not None]
            if (
                why := translators.refusal(found, installed, _shown(self._settings.translators_dir))
            ) is not None:
                raise BadRequest(field, why)
        words = [repr(one) for one in unclear(list(prompts.values()), **telling)]
        return (
            f"Taken for English, though it may be in another language: {', '.join(words)}" if words else None
        )

    def face_restorer(self) -> tuple[Path, Path] | None:
        """The files of what paints faces anew, and of what finds them."""
        return faces.find(self._settings.path(self._settings.faces_dir))

    def faces_missing(self) -> str | None:
        """Why faces cannot be restored, None if they can."""
        return faces.missing(self._settings.path(self._settings.faces_dir), _shown(self._settings.faces_dir))

    def found_model(self, model: Installed) -> Found | None:
        """What lies in a model's files, None for what is built in; BrokenModel if it cannot be used."""
        return self._fresh().model_looks.at(model.path) if model.path else None

    def found_lora(self, lora: Installed) -> FoundLora:
        """What a LoRA was made for; BrokenModel or BadRequest if it cannot be used."""
        assert lora.path is not None
        return self._fresh().lora_looks.at(lora.path)

    def found_vae(self, vae: Installed) -> FoundVae:
        """What lies in a VAE's files; BrokenModel if it cannot be used."""
        assert vae.path is not None
        return self._fresh().vae_looks.at(vae.path)

    def found_controlnet(self, net: Installed) -> FoundControlNet:
        """What a ControlNet was made for; BrokenModel if it cannot be used."""
        assert net.path is not None
        return self._fresh().controlnet_looks.at(net.path)

    def hint_ready(self, hint: str) -> str | None:
        """Why a hint cannot be read from pictures, None if it can."""
        return hints.missing(hint, self._settings.path(self._settings.hints_dir))

    def _is_new(self, snapshot: _Snapshot) -> bool:
        return time.monotonic() - snapshot.taken < _UNKNOWN_SECONDS

    def _loras_changed(self) -> int | None:
        try:
            return self._settings.path(self._settings.loras_dir).stat().st_mtime_ns
        except OSError:
            return None

    def _fresh(self) -> _Snapshot:
        snapshot, now, changed = self._snapshot, time.monotonic(), self._loras_changed()
        if snapshot is None or now - snapshot.taken > _FRESH_SECONDS or snapshot.loras_changed != changed:
            settings = self._settings
            snapshot = self._snapshot = _Snapshot(
                now,
                changed,
                [*self._built_in, *scan.models(settings)],
                scan.files(settings.path(settings.loras_dir), ".safetensors"),
                [
                    *(Installed(name, None) for name in BUILT_IN_UPSCALERS),
                    *scan.files(settings.path(settings.upscalers_dir), ".pth", ".safetensors"),
                ],
                scan.embeddings(settings.path(settings.embeddings_dir)),
                scan.parts(settings.path(settings.controlnet_dir)),
                scan.parts(settings.path(settings.vaes_dir)),
                Looks(partial(inspection.inspect, pickles=settings.allow_pickles)),
                Looks(lora_kind.inspect),
                Looks(partial(vaes.inspect, pickles=settings.allow_pickles)),
                Looks(partial(controlnets.inspect, pickles=settings.allow_pickles)),
            )
        return snapshot


def _shown(folder: Path) -> str:
    """As much of a folder's path as people need, and none of how this machine is laid out."""
    return "/".join(folder.parts[-2:])


def _pick(installed: list[Installed], name: str, field: str, kind: str) -> Installed:
    for one in installed:
        if one.name == name:
            return one
    for one in installed:
        if fold(one.name) == fold(name):
            return one
    known = [one.name for one in installed]
    raise UnknownName(field, kind, name, near(name, known), known)


def _hub_name(name: str) -> str:
    """`org/name` of a folder that is called so, in either way; other names as they are."""
    parts = name.removeprefix("models--").replace("__", "--").split("--")
    return "/".join(parts) if len(parts) == 2 else name


def _way_to(labelled: str) -> str | None:
    """How a model that was labelled is had, where its name says so."""
    name = _hub_name(labelled)
    return f".venv/bin/python -m diffusionapi.models pull {name} fetches it" if "/" in name else None


def _spellings(models: Iterable[Installed], labels: dict[str, str]) -> dict[str, list[Installed]]:
    """Every folded spelling of every installed model. A label is for all names that its folder may have."""
    found: dict[str, list[Installed]] = {}
    of_hub = {_hub_name(name): label for name, label in labels.items()}
    for model in models:
        hub_name = _hub_name(model.name)
        spellings = {model.name, labels.get(model.name) or of_hub.get(hub_name, model.name)}
        if hub_name != model.name:
            spellings |= {hub_name, hub_name.partition("/")[2]}
        for spelling in {fold(one) for one in spellings}:
            found.setdefault(spelling, []).append(model)
    return found
