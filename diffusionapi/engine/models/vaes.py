"""VAEs in place of models' own: loaded from a folder or a file, without network, kept beside the models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from diffusionapi.engine.models import original
from diffusionapi.engine.models.cache import Kind
from diffusionapi.engine.models.load import part
from diffusionapi.engine.models.sources import spellings
from diffusionapi.engine.models.weights import Weights, size_of
from diffusionapi.errors import BadRequest
from diffusionapi.weights import vaes
from diffusionapi.weights.families import VAE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from torch import Tensor, nn

    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.engine.autoencoder import Coder
    from diffusionapi.engine.models.cache import ModelCache
    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.engine.models.quarters import Quarters
    from diffusionapi.weights.families import Config
    from diffusionapi.weights.vaes import FoundVae

_FIELD = "vae"


@dataclass(eq=False, slots=True)
class LoadedVae:
    """A diffusers module in eval mode, without gradients."""

    path: Path
    vae: Any
    scaling_factor: float | None
    """None if its file does not say; then it is that of the model."""
    device: torch.device
    bytes: int

    @property
    def modules(self) -> list[nn.Module]:
        return [self.vae]

    def to(self, device: torch.device) -> None:
        self.vae.to(device)
        self.device = device


@dataclass(frozen=True, eq=False, slots=True)
class Chosen:
    """A VAE at work in place of a model's own."""

    path: Path
    vae: Any
    scaling_factor: float
    device: torch.device


def load(
    path: Path,
    device: torch.device,
    dtype: torch.dtype,
    *,
    channels_last: bool = False,
    allow_pickles: bool = False,
) -> LoadedVae:
    """BrokenModel, naming the file and the tensor, if anything is wrong with it."""
    dtype = _safe(dtype)
    found = vaes.inspect(path, pickles=allow_pickles)
    files = vaes.weight_files(path, half=dtype != torch.float32, pickles=allow_pickles)
    vae = part(_Parts(found, Weights(files)), "vae", device, dtype, channels_last=channels_last)
    return LoadedVae(path, vae, found.scaling_factor, device, size_of(vae))


def _safe(dtype: torch.dtype) -> torch.dtype:
    """That of SDXL overflows in fp16, and nothing in a file tells it from others."""
    return torch.float32 if dtype == torch.float16 else dtype


class _Parts:
    def __init__(self, found: FoundVae, weights: Weights) -> None:
        self.path = found.path
        self._found = found
        self._weights = weights

    def config(self, _component: str) -> Config:
        return vaes.config(self._found)

    def tensors(self, component: str) -> Callable[[str], Tensor]:
        if self._found.layout != "original":
            return lambda name: self._weights.first(spellings(component, name))
        origin = original.vae(self.config(component))
        return lambda name: self._weights[self._found.prefix + origin(name).name.removeprefix(VAE)]


class Vaes:
    """Those of one device."""

    def __init__(self, catalog: Catalog, cache: ModelCache, quarters: Quarters) -> None:
        self._catalog = catalog
        self._cache = cache
        half, pickles = _safe(quarters.dtype) != torch.float32, quarters.pickles
        self._kind = Kind(
            quarters.loader(load),
            lambda path: vaes.inspect(path, pickles=pickles).parameters,
            partial(vaes.weight_files, half=half, pickles=pickles),
        )

    def coder(self, name: str | None, model: LoadedModel, keep: Collection[Path]) -> Coder:
        """What a model's latents become pictures by; models and others in `keep` stay where they are."""
        if name is None:
            return model
        path = self._catalog.vae(name, _FIELD).path
        if path is None:
            raise BadRequest(_FIELD, f"{name!r} has no weights")
        found = self._cache.fetch(self._kind, path, {*keep, model.path})
        if problem := vaes.unlike(found.scaling_factor, model.scaling_factor):
            raise BadRequest(_FIELD, f"{name!r} {problem}")
        return Chosen(path, found.vae, found.scaling_factor or model.scaling_factor, found.device)
