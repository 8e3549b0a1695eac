"""Where a model's parts come from: a diffusers folder or an original checkpoint, behind one face.

Tensors are asked for by diffusers' names, those of text encoders by CLIPTextModel's (without `text_model.`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from diffusionapi.engine.models import original
from diffusionapi.engine.models.tokenizers import read_tokenizer, shipped_tokenizer
from diffusionapi.engine.models.weights import Weights
from diffusionapi.weights import folders, shapes
from diffusionapi.weights.families import TEXT_ENCODERS, published
from diffusionapi.weights.header import read_header

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from diffusionapi.engine.models.original import Origin
    from diffusionapi.weights.families import Config, TextEncoder
    from diffusionapi.weights.inspection import Found

_OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
"""How the VAEs of 2022 name what is now …"""


class Parts(Protocol):
    """`component` is a folder of the diffusers layout: unet, vae, text_encoder, text_encoder_2."""

    path: Path

    def config(self, component: str) -> Config: ...

    def tensors(self, component: str) -> Callable[[str], Tensor]: ...


class Source(Parts, Protocol):
    """Of a whole model."""

    def tokenizer(self, encoder: TextEncoder) -> Any: ...

    def scheduler(self) -> Config: ...


def open_source(found: Found, *, half: bool, pickles: bool) -> Source:
    return Folder(found, half=half, pickles=pickles) if found.kind == "folder" else Checkpoint(found)


class Folder:
    def __init__(self, found: Found, *, half: bool, pickles: bool) -> None:
        self.path = found.path
        self._half = half
        self._pickles = pickles

    def config(self, component: str) -> Config:
        return folders.read_config(self.path / component / "config.json")

    def tensors(self, component: str) -> Callable[[str], Tensor]:
        files = folders.weight_files(self.path / component, half=self._half, pickles=self._pickles)
        weights = Weights(files)
        return lambda name: weights.first(spellings(component, name))

    def tokenizer(self, encoder: TextEncoder) -> Any:
        return read_tokenizer(self.path / encoder.tokenizer, encoder)

    def scheduler(self) -> Config:
        return folders.read_config(self.path / folders.SCHEDULER)


def spellings(component: str, name: str) -> list[str]:
    """How folders of whatever age name a tensor."""
    if component.startswith("text_encoder"):
        return [f"text_model.{name}", name]
    old = name
    if component == "vae" and ".attentions." in name:
        for now, then in _OLD_ATTENTION.items():
            old = old.replace(f".{now}.", f".{then}.")
    return [name, old]


class Checkpoint:
    def __init__(self, found: Found) -> None:
        self.path = found.path
        self._found = found
        self._header = read_header(found.path)
        self._weights = Weights([found.path])
        self._encoders = {one.folder: one for one in TEXT_ENCODERS[found.family]}

    def config(self, component: str) -> Config:
        asked = (self._header, self._found.family, self._found.prediction)
        if component in self._encoders:
            return shapes.text_encoder(*asked, self._encoders[component])
        return shapes.unet(*asked) if component == "unet" else shapes.vae(*asked)

    def tensors(self, component: str) -> Callable[[str], Tensor]:
        origin = self._origin(component)
        return lambda name: self._take(origin(name))

    def _origin(self, component: str) -> Callable[[str], Origin]:
        if component in self._encoders:
            encoder = self._encoders[component]
            return original.text_encoder(encoder, shapes.text_prefix(self._header, encoder))
        return (original.unet if component == "unet" else original.vae)(self.config(component))

    def _take(self, origin: Origin) -> Tensor:
        tensor = self._weights[origin.name]
        if origin.third is not None:
            tensor = tensor.chunk(3)[origin.third]
        return tensor.T.contiguous() if origin.turned else tensor

    def tokenizer(self, encoder: TextEncoder) -> Any:
        return shipped_tokenizer(encoder)

    def scheduler(self) -> Config:
        return published(self._found.family, self._found.prediction, "scheduler")
