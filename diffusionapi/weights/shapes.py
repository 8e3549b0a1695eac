"""The configuration of an original checkpoint's parts: what the shapes of tensors say, else as published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.errors import BrokenModel
from diffusionapi.weights.families import (
    TEXT_ENCODERS,
    UNET,
    VAE,
    XL_SIZES,
    Config,
    Family,
    Prediction,
    TextEncoder,
    check_channels,
    published,
)

if TYPE_CHECKING:
    from diffusionapi.weights.header import Header

HEAD_WIDTH = 64
"""Of every attention but SD 1's UNet, which has 8 heads at any width."""


def unet(header: Header, family: Family, prediction: Prediction) -> Config:
    config = dict(published(family, prediction, "unet"))
    widths, depths, layers = levels(header)
    attends = [depth > 0 for depth in depths]
    config["in_channels"] = in_channels(header)
    config["out_channels"] = header.shape(f"{UNET}out.2.weight")[0]
    config["block_out_channels"] = widths
    config["layers_per_block"] = layers
    config["down_block_types"] = ["CrossAttnDownBlock2D" if one else "DownBlock2D" for one in attends]
    config["up_block_types"] = ["CrossAttnUpBlock2D" if one else "UpBlock2D" for one in reversed(attends)]
    config["cross_attention_dim"] = text_width(header)
    middle = depth_of(header, f"{UNET}middle_block.1")
    # A level without attention counts only if it is the last: the middle has the depth of that.
    depths = [*(depth or 1 for depth in depths[:-1]), depths[-1] or middle]
    config["transformer_layers_per_block"] = depths[0] if len(set(depths)) == 1 else depths
    if family != "sd1":
        config["attention_head_dim"] = [max(1, width // HEAD_WIDTH) for width in widths]
    if family in XL_SIZES:
        config |= _size_conditioning(header, family)
    return config


def in_channels(header: Header) -> int:
    """What the UNet takes."""
    return check_channels(header.path, header.shape(f"{UNET}input_blocks.0.0.weight")[1])


def text_width(header: Header, prefix: str = UNET) -> int:
    """How much a UNet, or half of one, is told of each token."""
    for name in header.tensors:
        if name.startswith(prefix) and name.endswith("attn2.to_k.weight"):
            return header.shape(name)[1]
    raise BrokenModel(header.path, "it has no cross attention, so no text can guide it")


def levels(header: Header, prefix: str = UNET) -> tuple[list[int], list[int], int]:
    """Width and transformer depth of each level of a UNet's first half, and the residual blocks in one."""
    widths: list[int] = []
    depths: list[int] = []
    layers, number, counted = 0, 1, 0
    while True:
        block = f"{prefix}input_blocks.{number}"
        number += 1
        if f"{block}.0.in_layers.2.weight" in header.tensors:
            if counted == 0:
                widths.append(header.shape(f"{block}.0.in_layers.2.weight")[0])
                depths.append(depth_of(header, f"{block}.1"))
            counted += 1
            layers = max(layers, counted)
        elif f"{block}.0.op.weight" in header.tensors:
            counted = 0
        else:
            return widths, depths, layers


def depth_of(header: Header, attention: str) -> int:
    """How many transformer blocks stand in a row there."""
    depth = 0
    while f"{attention}.transformer_blocks.{depth}.norm1.weight" in header.tensors:
        depth += 1
    return depth


def _size_conditioning(header: Header, family: Family) -> Config:
    """What label_emb takes: the text's pooled vector, then each size as sines of one width."""
    taken = header.shape(f"{UNET}label_emb.0.0.weight")[1]
    encoder = TEXT_ENCODERS[family][-1]
    pooled = header.shape(f"{text_prefix(header, encoder)}text_projection")[1]
    return {
        "projection_class_embeddings_input_dim": taken,
        "addition_time_embed_dim": (taken - pooled) // XL_SIZES[family],
    }


def vae(header: Header, family: Family, prediction: Prediction, prefix: str = VAE) -> Config:
    if f"{prefix}decoder.conv_in.weight" not in header.tensors:
        raise BrokenModel(header.path, "it has no VAE; use a checkpoint with its VAE baked in")
    widths: list[int] = []
    layers = 0
    while f"{prefix}encoder.down.{len(widths)}.block.0.conv1.weight" in header.tensors:
        widths.append(header.shape(f"{prefix}encoder.down.{len(widths)}.block.0.conv1.weight")[0])
    while f"{prefix}encoder.down.0.block.{layers}.conv1.weight" in header.tensors:
        layers += 1
    latents = header.shape(f"{prefix}decoder.conv_in.weight")[1]
    return vae_config(published(family, prediction, "vae"), widths, layers, latents)


def vae_config(like: Config, widths: list[int], layers: int, latent_channels: int) -> Config:
    """A VAE of these sizes, for the rest like another."""
    return like | {
        "block_out_channels": widths,
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "layers_per_block": layers,
        "latent_channels": latent_channels,
    }


def text_encoder(header: Header, family: Family, prediction: Prediction, encoder: TextEncoder) -> Config:
    prefix = text_prefix(header, encoder)
    config = dict(published(family, prediction, encoder.folder))
    names = _OPEN_CLIP if encoder.open_clip else _CLIP
    config["vocab_size"], config["hidden_size"] = header.shape(prefix + names["tokens"])
    config["max_position_embeddings"] = header.shape(prefix + names["positions"])[0]
    config["intermediate_size"] = header.shape(prefix + names["first"].format(0))[0]
    layers = 0
    while prefix + names["first"].format(layers) in header.tensors:
        layers += 1
    # SD 2 uses OpenCLIP up to the last layer but one; a checkpoint has all 24, or 23 if made from a folder.
    unused = family == "sd2" and layers != config["num_hidden_layers"]
    config["num_hidden_layers"] = layers - 1 if unused else layers
    config["num_attention_heads"] = max(1, config["hidden_size"] // HEAD_WIDTH)
    if encoder.projects:
        config["projection_dim"] = header.shape(f"{prefix}text_projection")[1]
    return config


def text_prefix(header: Header, encoder: TextEncoder) -> str:
    """Under which of its usual prefixes the text encoder lies."""
    tokens = (_OPEN_CLIP if encoder.open_clip else _CLIP)["tokens"]
    for prefix in encoder.origins:
        if prefix + tokens in header.tensors:
            return prefix
    raise BrokenModel(header.path, "it has no text encoder; use a checkpoint with its text encoder baked in")


_CLIP = {
    "tokens": "embeddings.token_embedding.weight",
    "positions": "embeddings.position_embedding.weight",
    "first": "encoder.layers.{}.mlp.fc1.weight",
}
_OPEN_CLIP = {
    "tokens": "token_embedding.weight",
    "positions": "positional_embedding",
    "first": "transformer.resblocks.{}.mlp.c_fc.weight",
}
