"""ControlNets in memory: loaded from a folder or a file, without network, kept beside the models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from diffusers import ControlNetModel

from diffusionapi.engine.models import building
from diffusionapi.engine.models.original import controlnet
from diffusionapi.engine.models.weights import Weights, fitted, placed, size_of
from diffusionapi.errors import BadRequest
from diffusionapi.weights import controlnets
from diffusionapi.weights.families import LABELS

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.weights.families import Family


@dataclass(eq=False, slots=True)
class ControlNet:
    """A diffusers module in eval mode, without gradients."""

    name: str
    path: Path
    family: Family
    network: Any
    dtype: torch.dtype
    device: torch.device
    bytes: int

    @property
    def modules(self) -> list[nn.Module]:
        return [self.network]

    @property
    def everywhere_alike(self) -> bool:
        """It says what the picture holds, not where; only the wanted side hears such a net."""
        return bool(self.network.config.global_pool_conditions)

    def to(self, device: torch.device) -> None:
        self.network.to(device)
        self.device = device


def load(
    path: Path,
    device: torch.device,
    dtype: torch.dtype,
    *,
    channels_last: bool = False,
    allow_pickles: bool = False,
) -> ControlNet:
    """BrokenModel, naming the file and the tensor, if anything is wrong with it."""
    found = controlnets.inspect(path, pickles=allow_pickles)
    config = controlnets.config(found)
    with building.empty():
        network = ControlNetModel.from_config(config)
    half = dtype != torch.float32
    weights = Weights(controlnets.weight_files(path, half=half, pickles=allow_pickles))
    origin = controlnet(config, found.prefix) if found.layout == "original" else None
    state = {}
    for name, empty in network.state_dict().items():
        theirs = origin(name).name if origin else name
        state[name] = fitted(weights[theirs], empty.shape, path, theirs)
    network.load_state_dict(placed(state, device, dtype, channels_last=channels_last), assign=True)
    network = network.to(device).eval().requires_grad_(False)
    return ControlNet(path.stem, path, found.family, network, dtype, device, size_of(network))


def check(net: ControlNet, model: LoadedModel) -> None:
    """BadRequest unless what the net adds fits the model's layers."""
    if net.family != model.family:
        raise BadRequest(
            "controls",
            f"{net.name!r} was made for {LABELS[net.family]}, and the model is {LABELS[model.family]}",
        )
    for told in ("block_out_channels", "cross_attention_dim", "layers_per_block"):
        own, others = net.network.config[told], model.unet.config[told]
        if own != others and list(_flat(own)) != list(_flat(others)):
            raise BadRequest("controls", f"{net.name!r} was made for a model of another size ({told})")


def _flat(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)
