"""Finds the layers of a model that a LoRA file speaks of, and says why if the file is not for that model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from diffusionapi.engine.models import original
from diffusionapi.errors import BadRequest
from diffusionapi.weights import lora_kind
from diffusionapi.weights.families import LABELS, UNET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.weights.lora_file import Layer, LoraFile

Module = nn.Linear | nn.Conv2d
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    module: Module
    of_text_encoder: bool


def places(model: LoadedModel) -> dict[str, Place]:
    """Every layer of the model that a LoRA may change, under every spelling of its place.

    SDXL's LoRAs name the UNet's layers mostly as Stability's code does, those of other families as diffusers
    does; both are good for all.
    """
    found: dict[str, Place] = {}
    spelled = original.unet(dict(model.unet.config))
    for path, module in _layers(model.unet):
        one = Place(module, of_text_encoder=False)
        found[_flat("unet", path)] = found[_flat("unet", spelled(path).name.removeprefix(UNET))] = one
    first = 2 if model.family == "refiner" else 1  # the refiner has the second one of SDXL's two, alone
    for number, encoder in enumerate(model.text_encoders, first):
        for path, module in _layers(encoder):
            place = _flat(f"te{number}", path.removeprefix("text_model."))
            found[place] = Place(module, of_text_encoder=True)
    return found


def _layers(module: Any) -> Iterator[tuple[str, Module]]:
    return ((path, one) for path, one in module.named_modules() if isinstance(one, Module))


def _flat(part: str, path: str) -> str:
    return f"{part}.{path.replace('.', '_')}"


def fit(file: LoraFile, known: Mapping[str, Place], model: LoadedModel) -> list[tuple[Place, Layer]]:
    """Each layer of the file with its place; raises BadRequest unless all fit."""
    for name, layer in file.layers.items():
        if name in known and not _fits(file, layer, known[name].module):
            raise BadRequest("loras", _why(file, model, name, known[name].module))
    unknown = [name for name in file.layers if name not in known]
    if unknown:
        raise BadRequest("loras", _made_for(file, model) or _strange(file, model, unknown))
    return [(known[name], layer) for name, layer in file.layers.items()]


def _fits(file: LoraFile, layer: Layer, module: Module) -> bool:
    """Whether up · mid · down has the shape of the weight. A kernel of 1 x 1 may be written or not."""
    down, up = file.header.shape(layer.down), file.header.shape(layer.up)
    mid = file.header.shape(layer.mid) if layer.mid else None
    if min(len(down), len(up)) < 2 or _point(up) != up[:2]:
        return False
    if mid is None:
        return up[1] == down[0] and _point((up[0], *down[1:])) == _point(tuple(module.weight.shape))
    spatial = isinstance(module, nn.Conv2d) and (up[0], down[1], *mid[2:]) == tuple(module.weight.shape)
    return spatial and _point(down) == down[:2] and mid[:2] == (up[1], down[0])


def _point(shape: Shape) -> Shape:
    """Without a kernel of one pixel."""
    return shape[:2] if set(shape[2:]) <= {1} else shape


def _why(file: LoraFile, model: LoadedModel, name: str, module: Module) -> str:
    layer = file.layers[name]
    width, wanted = file.header.shape(layer.down)[1:2], module.weight.shape[1]
    return _made_for(file, model) or (
        f"{file.name!r} was made for another family than {model.name!r} ({LABELS[model.family]}): its "
        f"layer {name} takes {width[0] if width else 0} values, the model's {wanted}"
    )


def _made_for(file: LoraFile, model: LoadedModel) -> str | None:
    """The sentence for a file that tells what it was made for, and it is another family."""
    families = lora_kind.families_of(file)
    if not families or model.family in families:
        return None
    made_for = lora_kind.labels(families)
    return f"{file.name!r} was made for {made_for}, and {model.name!r} is {LABELS[model.family]}"


def _strange(file: LoraFile, model: LoadedModel, unknown: list[str]) -> str:
    return (
        f"{file.name!r} does not fit {model.name!r} ({LABELS[model.family]}): "
        f"the model lacks {len(unknown)} of its {len(file.layers)} layers, such as {unknown[0]}"
    )
