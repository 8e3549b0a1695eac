"""The names of an original Stable Diffusion checkpoint against those of diffusers and transformers.

Original names are those of CompVis' and Stability's code (`model.diffusion_model.input_blocks.1.0`),
CLIP's or OpenCLIP's. Every function here tells, for a name of ours, where its values come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.weights.families import UNET, VAE

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusionapi.weights.families import Config, TextEncoder


@dataclass(frozen=True, slots=True)
class Origin:
    """Which original tensor holds the values, and how: a third of it (joined q, k, v), or turned over."""

    name: str
    third: int | None = None
    turned: bool = False


Origins = dict[str, str]
"""Prefix of ours -> original prefix."""

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.attentions.0": "middle_block.1",
}
_VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
    # as the folders of 2022 have them
    "query": "q",
    "key": "k",
    "value": "v",
    "proj_attn": "proj_out",
}
_OPEN_CLIP_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
_OPEN_CLIP_ENDS = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}
_THIRDS = {"q_proj": 0, "k_proj": 1, "v_proj": 2}


def unet(config: Config) -> Callable[[str], Origin]:
    """Origins of the UNet with this configuration (downsampling, then the middle, then upsampling blocks)."""
    origins = dict(_UNET_ENDS)
    _resnet(origins, "mid_block.resnets.0", "middle_block.0")
    _resnet(origins, "mid_block.resnets.1", "middle_block.2")
    layers: int = config["layers_per_block"]
    _down_blocks(origins, config["down_block_types"], layers)
    _up_blocks(origins, config["up_block_types"], layers + 1)
    return _by_prefix(UNET, origins)


def controlnet(config: Config, prefix: str) -> Callable[[str], Origin]:
    """Origins of a ControlNet: the first half of a UNet, what reads the picture, and what leads out of it."""
    origins = {ours: theirs for ours, theirs in _UNET_ENDS.items() if not theirs.startswith("out.")}
    _resnet(origins, "mid_block.resnets.0", "middle_block.0")
    _resnet(origins, "mid_block.resnets.1", "middle_block.2")
    kinds, layers = config["down_block_types"], config["layers_per_block"]
    _down_blocks(origins, kinds, layers)
    origins["controlnet_mid_block"] = "middle_block_out.0"
    for number in range(len(kinds) * (layers + 1)):
        origins[f"controlnet_down_blocks.{number}"] = f"zero_convs.{number}.0"
    convolutions = 2 * (len(config["conditioning_embedding_out_channels"]) - 1)
    for number in range(convolutions):  # every other one of the original's is an activation
        origins[f"{_HINT}.blocks.{number}"] = f"input_hint_block.{2 + 2 * number}"
    origins[f"{_HINT}.conv_in"] = "input_hint_block.0"
    origins[f"{_HINT}.conv_out"] = f"input_hint_block.{2 + 2 * convolutions}"
    return _by_prefix(prefix, origins)


_HINT = "controlnet_cond_embedding"


def _down_blocks(origins: Origins, kinds: list[str], layers: int) -> None:
    number = 1
    for level, kind in enumerate(kinds):
        for layer in range(layers):
            _block(origins, f"down_blocks.{level}", layer, f"input_blocks.{number}", "CrossAttn" in kind)
            number += 1
        if level < len(kinds) - 1:
            origins[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
            number += 1


def _up_blocks(origins: Origins, kinds: list[str], layers: int) -> None:
    number = 0
    for level, kind in enumerate(kinds):
        attends = "CrossAttn" in kind
        for layer in range(layers):
            _block(origins, f"up_blocks.{level}", layer, f"output_blocks.{number}", attends)
            number += 1
        if level < len(kinds) - 1:
            upsampler = f"output_blocks.{number - 1}.{2 if attends else 1}.conv"
            origins[f"up_blocks.{level}.upsamplers.0.conv"] = upsampler


def _block(origins: Origins, ours: str, layer: int, original: str, attends: bool) -> None:
    _resnet(origins, f"{ours}.resnets.{layer}", f"{original}.0")
    if attends:
        origins[f"{ours}.attentions.{layer}"] = f"{original}.1"


def _resnet(origins: Origins, ours: str, original: str) -> None:
    origins.update({f"{ours}.{inner}": f"{original}.{other}" for inner, other in _RESNET.items()})


def vae(config: Config) -> Callable[[str], Origin]:
    """Origins of the autoencoder; the original counts the decoder's levels from the other end."""
    origins = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    levels, layers = len(config["block_out_channels"]), config["layers_per_block"]
    for level in range(levels):
        back = levels - 1 - level
        _vae_level(origins, f"encoder.down_blocks.{level}", f"encoder.down.{level}", layers)
        _vae_level(origins, f"decoder.up_blocks.{level}", f"decoder.up.{back}", layers + 1)
        origins[f"encoder.down_blocks.{level}.downsamplers.0.conv"] = f"encoder.down.{level}.downsample.conv"
        origins[f"decoder.up_blocks.{level}.upsamplers.0.conv"] = f"decoder.up.{back}.upsample.conv"
    for half in ("encoder", "decoder"):
        origins[f"{half}.conv_in"] = f"{half}.conv_in"
        origins[f"{half}.conv_norm_out"] = f"{half}.norm_out"
        origins[f"{half}.conv_out"] = f"{half}.conv_out"
        _vae_resnet(origins, f"{half}.mid_block.resnets.0", f"{half}.mid.block_1")
        _vae_resnet(origins, f"{half}.mid_block.resnets.1", f"{half}.mid.block_2")
        for ours, original in _VAE_ATTENTION.items():
            origins[f"{half}.mid_block.attentions.0.{ours}"] = f"{half}.mid.attn_1.{original}"
    return _by_prefix(VAE, origins)


def _vae_level(origins: Origins, ours: str, original: str, layers: int) -> None:
    for layer in range(layers):
        _vae_resnet(origins, f"{ours}.resnets.{layer}", f"{original}.block.{layer}")


def _vae_resnet(origins: Origins, ours: str, original: str) -> None:
    for inner in ("norm1", "conv1", "norm2", "conv2"):
        origins[f"{ours}.{inner}"] = f"{original}.{inner}"
    origins[f"{ours}.conv_shortcut"] = f"{original}.nin_shortcut"


def _by_prefix(prefix: str, origins: Origins) -> Callable[[str], Origin]:
    """Takes parts off the end of a name until what is left is in the table."""

    def origin(name: str) -> Origin:
        head, tail = name, ""
        while head and head not in origins:
            head, _, last = head.rpartition(".")
            tail = f".{last}{tail}"
        return Origin(prefix + origins[head] + tail if head else prefix + name)

    return origin


def text_encoder(encoder: TextEncoder, prefix: str) -> Callable[[str], Origin]:
    """Origins of a text encoder that lies under `prefix`; ours are named as CLIPTextModel names them."""
    return _open_clip(prefix) if encoder.open_clip else lambda name: Origin(prefix + name)


def _open_clip(prefix: str) -> Callable[[str], Origin]:
    def origin(name: str) -> Origin:
        if name in _OPEN_CLIP_ENDS:
            return Origin(prefix + _OPEN_CLIP_ENDS[name])
        if name == "text_projection.weight":
            return Origin(f"{prefix}text_projection", turned=True)
        _, _, number, inner = name.split(".", 3)  # encoder.layers.N.…
        module, _, kind = inner.rpartition(".")
        block = f"{prefix}transformer.resblocks.{number}"
        if module in _OPEN_CLIP_LAYER:
            return Origin(f"{block}.{_OPEN_CLIP_LAYER[module]}.{kind}")
        third = _THIRDS[module.removeprefix("self_attn.")]
        return Origin(f"{block}.attn.in_proj_{kind}", third=third)

    return origin
