"""Random LoRAs for a model, the weights they should come to, and files of them in the usual formats."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from diffusionapi.engine.models.loaded import LoadedModel

RANK = 3
ALPHA = 1.5
ATTENTION = r"\.(to_[qkv]|to_out\.0|[qkv]_proj|out_proj)$"


@dataclass(frozen=True, slots=True)
class Change:
    """What a LoRA changes at one layer: part `unet`, `text_encoder` or `text_encoder_2`."""

    part: str
    path: str
    down: Tensor
    up: Tensor
    mid: Tensor | None = None

    def weight(self) -> Tensor:
        """What it adds to the weight at scale 1, by the formula of its kind."""
        factor = ALPHA / len(self.down)
        if self.mid is not None:
            up, down = self.up[:, :, 0, 0], self.down[:, :, 0, 0]
            return factor * torch.einsum("or,rsxy,si->oixy", up, self.mid, down)
        if self.down.dim() == 4:
            return factor * torch.einsum("or,rixy->oixy", self.up[:, :, 0, 0], self.down)
        return factor * self.up @ self.down


def parts(model: LoadedModel) -> dict[str, Any]:
    names = ["text_encoder_2"] if model.family == "refiner" else ["text_encoder", "text_encoder_2"]
    return {"unet": model.unet} | dict(zip(names, model.text_encoders, strict=False))


def a_lora(model: LoadedModel, pattern: str = ATTENTION, *, seed: int = 0, mid: bool = False) -> list[Change]:
    """Random matrices for every layer of the model whose path matches."""
    generator = torch.Generator().manual_seed(seed)
    return [
        Change(part, path.removeprefix("text_model."), *_matrices(module, generator, mid))
        for part, network in parts(model).items()
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and re.search(pattern, path)
    ]


def _matrices(
    module: nn.Linear | nn.Conv2d, generator: torch.Generator, mid: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * 0.2

    after, before, *kernel = module.weight.shape
    ones = [1] * len(kernel)
    if mid and kernel:
        return (
            random(RANK, before, *ones),
            random(after, RANK, *ones),
            random(RANK, RANK, *kernel),
        )
    return random(RANK, before, *kernel), random(after, RANK, *ones), None


def hand_merged(model: LoadedModel, *loras: tuple[list[Change], float]) -> dict[str, Any]:
    """Copies of the networks with these LoRAs in their weights, and none that act otherwise."""
    merged = {part: copy.deepcopy(network) for part, network in parts(model).items()}
    for module in (module for network in merged.values() for module in network.modules()):
        module._forward_hooks.clear()  # noqa: SLF001
    with torch.no_grad():
        for changes, scale in loras:
            for change in changes:
                layer = _layer(merged[change.part], change.path)
                layer.weight += scale * change.weight().reshape(layer.weight.shape)
    return merged


def _layer(network: nn.Module, path: str) -> Any:
    prefixed = f"text_model.{path}"
    return network.get_submodule(prefixed if prefixed in dict(network.named_modules()) else path)


# --- files ----------------------------------------------------------------------------------------------

_KOHYA = {"unet": "lora_unet_", "text_encoder": "lora_te_text_model_"}
_KOHYA_XL = {
    "unet": "lora_unet_",
    "text_encoder": "lora_te1_text_model_",
    "text_encoder_2": "lora_te2_text_model_",
}


def save_kohya(
    file: Path,
    changes: Iterable[Change],
    *,
    xl: bool = False,
    spell: Callable[[str], str] = lambda path: path,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """As sd-scripts and LyCORIS write it; `spell` renames the layers of the UNet."""
    tensors: dict[str, Tensor] = {}
    for change in changes:
        path = spell(change.path) if change.part == "unet" else change.path
        name = (_KOHYA_XL if xl else _KOHYA)[change.part] + path.replace(".", "_")
        tensors[f"{name}.lora_down.weight"] = change.down
        tensors[f"{name}.lora_up.weight"] = change.up
        if change.mid is not None:
            tensors[f"{name}.lora_mid.weight"] = change.mid
        tensors[f"{name}.alpha"] = torch.tensor(ALPHA)
    metadata = {"ss_network_module": "networks.lora"}
    save_file({key: one.to(dtype) for key, one in tensors.items()}, file, metadata)
    return file


def save_peft(file: Path, changes: Iterable[Change]) -> Path:
    """As diffusers writes it with peft: alpha in the metadata."""
    tensors, parts_seen = {}, set()
    for change in changes:
        parts_seen.add(change.part)
        inner = change.path if change.part == "unet" else f"text_model.{change.path}"
        tensors[f"{change.part}.{inner}.lora_A.weight"] = change.down
        tensors[f"{change.part}.{inner}.lora_B.weight"] = change.up
    table = {f"{part}.lora_alpha": ALPHA for part in parts_seen} | {f"{part}.r": RANK for part in parts_seen}
    save_file(tensors, file, {"format": "pt", "lora_adapter_metadata": json.dumps(table)})
    return file


def save_old_diffusers(file: Path, changes: Iterable[Change]) -> Path:
    """As diffusers wrote it before peft, with attention processors; without alpha, so `up` is scaled."""
    tensors = {}
    for change in changes:
        name = f"{change.part}.{_with_processor(change)}"
        tensors[f"{name}.down.weight"] = change.down
        tensors[f"{name}.up.weight"] = change.up * (ALPHA / RANK)
    save_file(tensors, file)
    return file


def _with_processor(change: Change) -> str:
    if change.part != "unet":
        return f"text_model.{change.path}.lora_linear_layer"
    module, _, which = change.path.removesuffix(".0").rpartition(".")
    return f"{module}.processor.{which}_lora"


def save_comfy(file: Path, changes: Iterable[Change], spell: Callable[[str], str]) -> Path:
    """With dots, under the prefixes that ComfyUI uses."""
    prefixes = {
        "unet": "diffusion_model.",
        "text_encoder": "text_encoders.clip_l.transformer.text_model.",
        "text_encoder_2": "text_encoders.clip_g.transformer.text_model.",
    }
    tensors = {}
    for change in changes:
        path = spell(change.path) if change.part == "unet" else change.path
        tensors[f"{prefixes[change.part]}{path}.lora_down.weight"] = change.down
        tensors[f"{prefixes[change.part]}{path}.lora_up.weight"] = change.up
        tensors[f"{prefixes[change.part]}{path}.alpha"] = torch.tensor(ALPHA)
    save_file(tensors, file)
    return file


XL_NAMES = {
    "time_embedding.linear_1": "time_embed.0",
    "conv_in": "input_blocks.0.0",
    "down_blocks.0.resnets.1.conv2": "input_blocks.2.0.out_layers.3",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.3.0.op",
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q": (
        "input_blocks.4.1.transformer_blocks.0.attn1.to_q"
    ),
    "down_blocks.1.attentions.1.proj_in": "input_blocks.5.1.proj_in",
    "down_blocks.2.attentions.0.transformer_blocks.1.attn2.to_k": (
        "input_blocks.7.1.transformer_blocks.1.attn2.to_k"
    ),
    "down_blocks.2.attentions.1.transformer_blocks.0.ff.net.0.proj": (
        "input_blocks.8.1.transformer_blocks.0.ff.net.0.proj"
    ),
    "mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0": (
        "middle_block.1.transformer_blocks.0.attn1.to_out.0"
    ),
    "mid_block.resnets.1.time_emb_proj": "middle_block.2.emb_layers.1",
    "up_blocks.0.attentions.2.transformer_blocks.0.attn2.to_v": (
        "output_blocks.2.1.transformer_blocks.0.attn2.to_v"
    ),
    "up_blocks.0.upsamplers.0.conv": "output_blocks.2.2.conv",
    "up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_k": (
        "output_blocks.3.1.transformer_blocks.0.attn1.to_k"
    ),
    "up_blocks.1.attentions.2.proj_out": "output_blocks.5.1.proj_out",
    "up_blocks.2.resnets.0.conv_shortcut": "output_blocks.6.0.skip_connection",
    "conv_out": "out.2",
}
"""diffusers' names of some layers of SDXL's UNet, and those of Stability's code, written down by hand."""


# --- what the networks answer ---------------------------------------------------------------------------


@torch.no_grad()
def answers(model: LoadedModel, networks: dict[str, Any] | None = None) -> dict[str, Tensor]:
    """Of the model's own networks or of others in their place, to fixed questions."""
    networks = networks or parts(model)
    found = {}
    for part, network in networks.items():
        generator = torch.Generator().manual_seed(5)
        if part == "unet":
            found[part] = network(*_question(model, generator), **_sizes(model)).sample
        else:
            ids = torch.randint(0, 49406, (2, 77), generator=generator)
            found[part] = network(ids).last_hidden_state
    return {part: answer.float() for part, answer in found.items()}


def _question(model: LoadedModel, generator: torch.Generator) -> Iterator[Tensor]:
    x = torch.randn(2, 4, 16, 16, generator=generator)
    context = torch.randn(2, 77, model.unet.config.cross_attention_dim, generator=generator)
    return (one.to(model.dtype) for one in (x, torch.tensor([10.0, 700.0]), context))


def _sizes(model: LoadedModel) -> dict[str, Any]:
    if model.family not in ("sdxl", "refiner"):
        return {}
    count, width = (6, 64) if model.family == "sdxl" else (5, 64)
    sizes = {"text_embeds": torch.ones(2, width), "time_ids": torch.full((2, count), 64.0)}
    return {"added_cond_kwargs": {name: one.to(model.dtype) for name, one in sizes.items()}}


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((one[part] - other[part]).abs().max()) for part in one)
