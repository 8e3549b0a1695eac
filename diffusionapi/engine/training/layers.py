"""The LoRA that is learnt (Hu et al. 2021, arXiv:2106.09685): two small matrices a layer of attention.

As in adapters/lora.py they add to a layer's answer by a forward hook, and only while a step is made. So the
model's own weights are never touched, pictures may be painted with it between two steps, and where its
weights live makes no difference.
"""

from __future__ import annotations

import math
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffusionapi.engine.models import original
from diffusionapi.weights.families import UNET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from diffusionapi.engine.models.loaded import LoadedModel

_UNET = re.compile(r"\.attn[12]\.to_(q|k|v|out\.0)$")
_TEXT_ENCODER = re.compile(r"\.self_attn\.(q|k|v|out)_proj$")


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    name: str
    """As kohya's scripts spell its place, and with them everybody."""
    module: nn.Module
    down: nn.Parameter
    """(rank, what comes in). In float32 like `up`, since bf16 has no room for the steps."""
    up: nn.Parameter
    scale: float

    def added(self, _module: nn.Module, arguments: tuple[Any, ...], answer: Tensor) -> Tensor:
        """A forward hook."""
        x: Tensor = arguments[0]
        inner = functional.linear(x, self.down.to(x.dtype))
        return answer + self.scale * functional.linear(inner, self.up.to(x.dtype))


class Learnt:
    """`up` begins with zeros, so that the first answers are those of the model, and `down` as peft has it."""

    def __init__(
        self, model: LoadedModel, *, rank: int, alpha: float, words: bool, dice: torch.Generator
    ) -> None:
        def layer(name: str, module: nn.Linear) -> Layer:
            down = torch.empty(rank, module.in_features)
            nn.init.kaiming_uniform_(down, a=math.sqrt(5), generator=dice)
            up = torch.zeros(module.out_features, rank)
            down, up = (nn.Parameter(one.to(model.device)) for one in (down, up))
            return Layer(name, module, down, up, alpha / rank)

        self._alpha = alpha
        self.of_unet = [layer(*one) for one in _unet_layers(model)]
        self.of_text_encoders = [layer(*one) for one in _text_layers(model)] if words else []

    @property
    def layers(self) -> list[Layer]:
        return [*self.of_unet, *self.of_text_encoders]

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Inside, the model answers with what has been learnt so far; after it, as it did before."""
        with ExitStack() as taken_away:
            for one in self.layers:
                hook = one.module.register_forward_hook(one.added)
                taken_away.callback(hook.remove)
            yield

    def tensors(self) -> dict[str, Tensor]:
        """As files of LoRAs have them."""
        found: dict[str, Tensor] = {}
        for one in self.layers:
            found[f"{one.name}.lora_down.weight"] = one.down.detach()
            found[f"{one.name}.lora_up.weight"] = one.up.detach()
            found[f"{one.name}.alpha"] = torch.tensor(self._alpha)
        return found

    @torch.no_grad()
    def put(self, tensors: Mapping[str, Tensor]) -> None:
        for one in self.layers:
            one.down.copy_(tensors[f"{one.name}.lora_down.weight"])
            one.up.copy_(tensors[f"{one.name}.lora_up.weight"])


def parameters(layers: list[Layer]) -> list[nn.Parameter]:
    return [matrix for one in layers for matrix in (one.down, one.up)]


def _unet_layers(model: LoadedModel) -> Iterator[tuple[str, nn.Linear]]:
    """Under diffusers' names, but SDXL's under those of Stability's code, as is the custom."""
    spelled = original.unet(dict(model.unet.config))
    stability = model.family == "sdxl"
    for path, module in _linear(model.unet, _UNET):
        place = spelled(path).name.removeprefix(UNET) if stability else path
        yield _flat("lora_unet", place), module


def _text_layers(model: LoadedModel) -> Iterator[tuple[str, nn.Linear]]:
    numbers = ("lora_te1", "lora_te2") if len(model.text_encoders) > 1 else ("lora_te",)
    for prefix, encoder in zip(numbers, model.text_encoders, strict=True):
        for path, module in _linear(encoder, _TEXT_ENCODER):
            yield _flat(prefix, f"text_model.{path.removeprefix('text_model.')}"), module


def _linear(network: Any, wanted: re.Pattern[str]) -> Iterator[tuple[str, nn.Linear]]:
    for path, module in network.named_modules():
        if isinstance(module, nn.Linear) and wanted.search(path):
            yield path, module


def _flat(prefix: str, path: str) -> str:
    return f"{prefix}_{path.replace('.', '_')}"
