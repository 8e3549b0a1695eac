"""What the files of a VAE hold, in each of the three layouts people share, and whose latents it is for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from diffusionapi.errors import BrokenModel
from diffusionapi.weights import folders, shapes
from diffusionapi.weights.families import LATENT_CHANNELS, VAE, Config, published
from diffusionapi.weights.header import Stamp, read_header, stamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from diffusionapi.weights.header import Header
    from diffusionapi.weights.inspection import Found

_LEVELS = 4
"""Each but the first halves the sides: a cell of the latents stands for 8 pixels."""
_USUAL_FACTOR = 0.18215
"""Of configurations that do not say it: those of 2022, before there was another one."""
_NEAR = 0.01
"""How much two scaling factors may differ, as a share, and mean the same."""
_OTHER_KINDS = {
    "encoder.layers.": "it is a tiny autoencoder (TAESD), which draws previews; put it into their folder",
    "lora_unet_": "it is a LoRA; put it into the folder of LoRAs",
    "decoder.up_blocks.0.resnets.0.conv1.conv.": "it is a VAE for videos, which this server does not run",
    "decoder.middle.": "it is a VAE for videos, which this server does not run",
}


@dataclass(frozen=True, slots=True)
class FoundVae:
    """`parameters` is the number of its weights; `prefix` stands before their names in a file."""

    path: Path
    layout: Literal["folder", "original", "diffusers"]
    parameters: int
    scaling_factor: float | None
    """What pictures that it has encoded are multiplied with to become latents; a file does not say."""
    prefix: str = ""


def inspect(path: Path, *, pickles: bool = False) -> FoundVae:
    """BrokenModel, naming the file, when it is plain from here that it cannot be used."""
    found = _folder(path, pickles=pickles) if path.is_dir() else _file(path, stamp(path))
    _check(found.path, config(found))
    return found


def weight_files(path: Path, *, half: bool, pickles: bool = False) -> list[Path]:
    return folders.weight_files(path, half=half, pickles=pickles) if path.is_dir() else [path]


def config(found: FoundVae) -> Config:
    """What the network is built from: as its folder says, or as the shapes of its tensors do."""
    if found.layout == "folder":
        return folders.read_config(found.path / "config.json")
    header = read_header(found.path)
    if found.layout == "original":
        return shapes.vae(header, "sd1", "epsilon", found.prefix)
    return _from_diffusers(header)


def unfit(vae: FoundVae, model: Found) -> str | None:
    """Why a VAE is not for a model's latents, None if nothing tells."""
    return unlike(vae.scaling_factor, _factor(model))


def unlike(factor: float | None, models: float) -> str | None:
    """The same of the two scaling factors."""
    if factor is None or abs(factor - models) <= _NEAR * models:
        return None
    return f"is for latents of another kind: it scales them by {factor:g}, and the model by {models:g}"


def _factor(model: Found) -> float:
    if model.kind == "file":
        said = published(model.family, model.prediction, "vae")
    else:
        said = folders.read_config(model.path / "vae" / "config.json")
    return float(said.get("scaling_factor", _USUAL_FACTOR))


# --- the layouts --------------------------------------------------------------------------------------------


def _folder(path: Path, *, pickles: bool) -> FoundVae:
    said = folders.read_config(path / "config.json")
    kind = said.get("_class_name", "AutoencoderKL")
    if kind != "AutoencoderKL":
        raise BrokenModel(path / "config.json", f"it describes a {kind}, where an AutoencoderKL is needed")
    folders.check_vae(path / "config.json")
    headers = [read_header(one) for one in folders.weight_files(path, half=True, pickles=pickles)]
    factor = float(said.get("scaling_factor", _USUAL_FACTOR))
    return FoundVae(path, "folder", _parameters(headers), factor)


@lru_cache(maxsize=1024)  # headers are long
def _file(path: Path, _stamp: Stamp) -> FoundVae:
    header = read_header(path)
    for layout, prefix, mark in _LAYOUTS:
        if prefix + mark in header.tensors:
            return FoundVae(path, layout, _parameters([header], prefix), None, prefix)
    raise BrokenModel(path, _what_else(header))


_ORIGINAL, _DIFFUSERS = "encoder.down.0.block.0.conv1.weight", "encoder.down_blocks.0.resnets.0.conv1.weight"
_LAYOUTS: tuple[tuple[Literal["original", "diffusers"], str, str], ...] = (
    ("original", "", _ORIGINAL),
    ("original", VAE, _ORIGINAL),
    ("diffusers", "", _DIFFUSERS),
)
"""Layout, prefix, and what every VAE has there; a whole checkpoint has one, too."""


def _what_else(header: Header) -> str:
    for prefix, sentence in _OTHER_KINDS.items():
        if any(name.startswith(prefix) for name in header.tensors):
            return sentence
    return "it holds no VAE"


def _parameters(headers: Iterable[Header], prefix: str = "") -> int:
    return sum(
        one.values
        for header in headers
        for name, one in header.tensors.items()
        if name.startswith((f"{prefix}encoder.", f"{prefix}decoder.", f"{prefix}quant", f"{prefix}post_"))
    )


def _check(path: Path, config: Config) -> None:
    channels, levels = (
        config.get("latent_channels", LATENT_CHANNELS),
        len(config.get("block_out_channels", ())),
    )
    if channels != LATENT_CHANNELS:
        raise BrokenModel(
            path, f"its latents have {channels} channels, where a model's have {LATENT_CHANNELS}"
        )
    if levels != _LEVELS:
        cell = 2 ** (levels - 1)
        raise BrokenModel(
            path, f"a cell of its latents stands for {cell} pixels, where a model's stands for 8"
        )


def _from_diffusers(header: Header) -> Config:
    resnet = "encoder.down_blocks.{}.resnets.{}.conv1.weight"
    widths: list[int] = []
    while resnet.format(len(widths), 0) in header.tensors:
        widths.append(header.shape(resnet.format(len(widths), 0))[0])
    layers = 0
    while resnet.format(0, layers) in header.tensors:
        layers += 1
    latents = header.shape("decoder.conv_in.weight")[1]
    return shapes.vae_config(published("sd1", "epsilon", "vae"), widths, layers, latents)
