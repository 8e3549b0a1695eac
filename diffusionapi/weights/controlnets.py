"""What a ControlNet's files hold, in each of the three layouts people share: its family and configuration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from diffusionapi.errors import BrokenModel
from diffusionapi.weights import folders, shapes
from diffusionapi.weights.families import LATENT_CHANNELS, Config, Family, published
from diffusionapi.weights.header import Stamp, read_header, stamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from diffusionapi.weights.header import Header

CONTROL = "control_model."
"""Before the names of a file in the original layout, unless it holds nothing else."""

_WIDTHS: dict[int, Family] = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""How much a network is told of each token, where its configuration has no other mark."""
_AS_THE_UNET = (
    "act_fn",
    "addition_embed_type",
    "addition_time_embed_dim",
    "attention_head_dim",
    "downsample_padding",
    "flip_sin_to_cos",
    "freq_shift",
    "mid_block_scale_factor",
    "norm_eps",
    "norm_num_groups",
    "upcast_attention",
    "use_linear_projection",
)
"""What a ControlNet takes over from the UNet it was copied from."""
_OTHER_KINDS = {
    "lora_controlnet": "it is a Control-LoRA, which this server does not run",
    "difference": "it holds the difference to a model; use the whole ControlNet",
    "task_embedding": "it is a ControlNet of many tasks (Union), which this server does not run",
    "control_add_embedding": "it is a ControlNet of many tasks (Union), which this server does not run",
    "body.": "it is a T2I-Adapter, not a ControlNet",
    "adapter.": "it is a T2I-Adapter, not a ControlNet",
    "lora_unet_": "it is a LoRA; put it into the folder of LoRAs",
    "model.diffusion_model.": "it is a whole model, not a ControlNet",
    "double_blocks.": "it was made for Flux, which this server does not run",
    "controlnet_blocks.": "it was made for Flux, SD 3 or the like, which this server does not run",
}


@dataclass(frozen=True, slots=True)
class FoundControlNet:
    """`parameters` is the number of its weights; `prefix` stands before their names in a file."""

    path: Path
    family: Family
    layout: Literal["folder", "original", "diffusers"]
    bytes: int
    parameters: int
    prefix: str = ""


def inspect(path: Path, *, pickles: bool = False) -> FoundControlNet:
    """BrokenModel, naming the file, when it is plain from here that it cannot be used."""
    if path.is_dir():
        return _folder(path, pickles=pickles)
    return _file(path, stamp(path))


def weight_files(path: Path, *, half: bool, pickles: bool = False) -> list[Path]:
    return folders.weight_files(path, half=half, pickles=pickles) if path.is_dir() else [path]


def config(found: FoundControlNet) -> Config:
    """What the network is built from: as its folder says, or as the shapes of its tensors do."""
    if found.layout == "folder":
        return folders.read_config(found.path / "config.json")
    header = read_header(found.path)
    made = _from_original(header, found.prefix) if found.layout == "original" else _from_diffusers(header)
    return _completed(made, header, found)


# --- the family -------------------------------------------------------------------------------------------


def _folder(path: Path, *, pickles: bool) -> FoundControlNet:
    file = path / "config.json"
    said = folders.read_config(file)
    kind = said.get("_class_name", "ControlNetModel")
    if kind != "ControlNetModel":
        raise BrokenModel(file, f"it describes a {kind}, where a ControlNetModel is needed")
    _check_channels(file, said.get("in_channels", LATENT_CHANNELS))
    headers = [read_header(one) for one in folders.weight_files(path, half=True, pickles=pickles)]
    size, parameters = _sizes(headers)
    return FoundControlNet(path, _family_of_config(said), "folder", size, parameters)


def _family_of_config(said: Config) -> Family:
    if said.get("addition_embed_type") == "text_time":
        return "sdxl"
    otherwise: Family = "sd2" if said.get("use_linear_projection") else "sd1"
    return _WIDTHS.get(said.get("cross_attention_dim", 0), otherwise)


@lru_cache(maxsize=1024)  # headers are long
def _file(path: Path, _stamp: Stamp) -> FoundControlNet:
    header = read_header(path)
    for layout, prefix, mark, latents, sizes in _LAYOUTS:
        if prefix + mark in header.tensors:
            _check_channels(path, header.shape(prefix + latents)[1])
            family: Family = "sdxl" if prefix + sizes in header.tensors else _by_projection(header, prefix)
            return FoundControlNet(path, family, layout, *_sizes([header], prefix), prefix)
    raise BrokenModel(path, _what_else(header))


_ORIGINAL = ("zero_convs.0.0.weight", "input_blocks.0.0.weight", "label_emb.0.0.weight")
_DIFFUSERS = ("controlnet_down_blocks.0.weight", "conv_in.weight", "add_embedding.linear_1.weight")
_LAYOUTS: tuple[tuple[Literal["original", "diffusers"], str, str, str, str], ...] = (
    ("original", CONTROL, *_ORIGINAL),
    ("original", "", *_ORIGINAL),
    ("diffusers", "", *_DIFFUSERS),
)
"""Layout, prefix, what every ControlNet has and nothing else, what takes the latents, and what only one for
SDXL has."""


def _by_projection(header: Header, prefix: str) -> Family:
    """SD 2 projects linearly, SD 1 by convolution."""
    for name in header.tensors:
        if name.startswith(prefix) and name.endswith(".proj_in.weight"):
            return "sd2" if len(header.shape(name)) == 2 else "sd1"
    raise BrokenModel(header.path, "it has no attention, so it is no ControlNet of Stable Diffusion")


def _what_else(header: Header) -> str:
    for prefix, sentence in _OTHER_KINDS.items():
        if any(name.startswith(prefix) for name in header.tensors):
            return sentence
    return "it holds no ControlNet"


def _check_channels(path: Path, channels: int) -> None:
    if channels != LATENT_CHANNELS:
        raise BrokenModel(path, f"it takes {channels} channels, where latents have {LATENT_CHANNELS}")


def _sizes(headers: Iterable[Header], prefix: str = "") -> tuple[int, int]:
    entries = [one for header in headers for name, one in header.tensors.items() if name.startswith(prefix)]
    return sum(one.bytes for one in entries), sum(one.values for one in entries)


# --- the configuration of a file --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shapes:
    widths: list[int]
    depths: list[int]
    """Transformer blocks in a row at each level, 0 where it does not attend."""
    middle: int
    layers: int
    hints: list[int]
    """Channels that the picture has on its way to the latents' size."""
    picture: int
    sizes: str
    """The tensor that takes SDXL's numbers."""


def _from_original(header: Header, prefix: str) -> _Shapes:
    widths, depths, layers = shapes.levels(header, prefix)
    hint = f"{prefix}input_hint_block"
    count = 0
    while f"{hint}.{4 * (count + 1)}.weight" in header.tensors:  # … every other one of which is an activation
        count += 1
    return _Shapes(
        widths,
        depths,
        shapes.depth_of(header, f"{prefix}middle_block.1"),
        layers,
        [header.shape(f"{hint}.{4 * number}.weight")[0] for number in range(count + 1)],
        header.shape(f"{hint}.0.weight")[1],
        f"{prefix}label_emb.0.0.weight",
    )


def _from_diffusers(header: Header) -> _Shapes:
    widths: list[int] = []
    while f"down_blocks.{len(widths)}.resnets.0.conv1.weight" in header.tensors:
        widths.append(header.shape(f"down_blocks.{len(widths)}.resnets.0.conv1.weight")[0])
    layers = 0
    while f"down_blocks.0.resnets.{layers}.conv1.weight" in header.tensors:
        layers += 1
    hint, count = "controlnet_cond_embedding", 0
    while f"{hint}.blocks.{2 * count + 1}.weight" in header.tensors:
        count += 1
    steps = [f"{hint}.conv_in.weight", *(f"{hint}.blocks.{2 * one + 1}.weight" for one in range(count))]
    return _Shapes(
        widths,
        [shapes.depth_of(header, f"down_blocks.{level}.attentions.0") for level in range(len(widths))],
        shapes.depth_of(header, "mid_block.attentions.0"),
        layers,
        [header.shape(one)[0] for one in steps],
        header.shape(steps[0])[1],
        "add_embedding.linear_1.weight",
    )


def _completed(made: _Shapes, header: Header, found: FoundControlNet) -> Config:
    # Of the two kinds of SD 2 the one that is careful with half precision; a net does not predict.
    unet = published(found.family, "v_prediction", "unet")
    config: dict[str, Any] = {name: unet[name] for name in _AS_THE_UNET if name in unet}
    config |= {
        "block_out_channels": made.widths,
        "layers_per_block": made.layers,
        "down_block_types": ["CrossAttnDownBlock2D" if one else "DownBlock2D" for one in made.depths],
        # A level without attention counts only if it is the last: the middle has the depth of that.
        "transformer_layers_per_block": [*(one or 1 for one in made.depths[:-1]), made.middle or 1],
        "mid_block_type": "UNetMidBlock2DCrossAttn" if made.middle else "UNetMidBlock2D",
        "cross_attention_dim": shapes.text_width(header, found.prefix),
        "conditioning_channels": made.picture,
        "conditioning_embedding_out_channels": made.hints,
        # No tensor tells it. Of the published ones, those that shuffle mind what a picture holds, not where.
        "global_pool_conditions": "shuffle" in found.path.stem.lower(),
    }
    if found.family != "sd1":
        config["attention_head_dim"] = [max(1, width // shapes.HEAD_WIDTH) for width in made.widths]
    if found.family == "sdxl":
        config["projection_class_embeddings_input_dim"] = header.shape(made.sizes)[1]
    return config
