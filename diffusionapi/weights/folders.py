"""The files of a model in the diffusers layout: configurations, and which of its weight files to use."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from diffusionapi.errors import BrokenModel
from diffusionapi.weights.families import (
    LATENT_CHANNELS,
    TEXT_ENCODERS,
    Config,
    Family,
    check_channels,
    family_of_config,
    zeroes_by_default,
)
from diffusionapi.weights.places import INDEX

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

SCHEDULER = "scheduler/scheduler_config.json"

_POOLING = "text_encoder_2/config.json"
_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
_VARIANTS = {True: ("fp16", "", "bf16"), False: ("", "bf16", "fp16")}
"""Half precision wanted -> in which order the files of a component are taken."""


def read_config(file: Path) -> Config:
    try:
        config: Any = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise BrokenModel(file, "it is missing; the download did not finish, pull it again") from error
    except (OSError, ValueError) as error:
        raise BrokenModel(file, "it is not valid JSON") from error
    if not isinstance(config, dict):
        raise BrokenModel(file, "it is not a JSON object")
    return config


def family(folder: Path) -> Family:
    file = folder / "unet" / "config.json"
    if not file.exists() and (folder / INDEX).exists():
        kind = read_config(folder / INDEX).get("_class_name", "")
        if not str(kind).startswith("StableDiffusion"):
            raise BrokenModel(folder / INDEX, f"it describes a {kind}, which this server does not run")
    return family_of_config(
        file, read_config(file), lambda: int(read_config(folder / _POOLING)["projection_dim"])
    )


def in_channels(folder: Path) -> int:
    """What the UNet takes."""
    file = folder / "unet" / "config.json"
    return check_channels(file, read_config(file).get("in_channels", LATENT_CHANNELS))


def text_width(folder: Path) -> int | None:
    """How much the UNet is told of each token, None where it is told different things in different places."""
    said = read_config(folder / "unet" / "config.json").get("cross_attention_dim")
    return said if isinstance(said, int) else None


def check_vae(file: Path) -> None:
    """`file` is its configuration."""
    config = read_config(file)
    if config.get("latents_mean") or config.get("latents_std"):
        raise BrokenModel(file, "it shifts its latents, as few models do, which this server does not run")


def zeroes_empty_prompt(folder: Path, family: Family) -> bool:
    default = zeroes_by_default(family)
    if not (folder / INDEX).exists():
        return default
    return bool(read_config(folder / INDEX).get("force_zeros_for_empty_prompt", default))


def components(family: Family) -> list[str]:
    """The subfolders that hold weights."""
    return ["unet", "vae", *(encoder.folder for encoder in TEXT_ENCODERS[family])]


def weight_files(folder: Path, *, half: bool, pickles: bool = False) -> list[Path]:
    """The weights of one component: one file or its shards; `half` says which precision is rather taken."""
    names = {one.name for one in folder.iterdir()} if folder.is_dir() else set()
    if chosen := choose(names, half=half):
        file = folder / chosen
        return _shards(file) if file.suffix == ".json" else [file]
    if old := choose_pickle(names):
        if pickles:
            return [folder / old]
        problem = (
            "it is a pickle, which can run code; convert it to safetensors, or allow pickles if you trust it"
        )
        raise BrokenModel(folder / old, problem)
    raise BrokenModel(
        folder / f"{_stem(folder)}.safetensors", "it is missing; the download did not finish, pull it again"
    )


def choose(names: Collection[str], *, half: bool) -> str | None:
    """Of the files of a component, its safetensors weights or the index of their shards."""
    for variant in _VARIANTS[half]:
        for stem in _STEMS:
            named = f"{stem}.{variant}" if variant else stem
            index = (
                f"{stem}.safetensors.index.{variant}.json" if variant else f"{stem}.safetensors.index.json"
            )
            for one in (f"{named}.safetensors", index):
                if one in names:
                    return one
    return None


def choose_pickle(names: Collection[str]) -> str | None:
    found = (f"{stem}{variant}.bin" for variant in ("", ".fp16") for stem in _STEMS)
    return next((one for one in found if one in names), None)


def shards_of(index: str, names: Collection[str]) -> set[str]:
    """Which of the names are shards of this index: `model.fp16-00001-of-00002.safetensors`."""
    stem, _, rest = index.partition(".safetensors.index")
    variant = rest.removesuffix(".json")
    return {one for one in names if rest and re.fullmatch(rf"{stem}{variant}-\d+-of-\d+\.safetensors", one)}


def _shards(index: Path) -> list[Path]:
    table = read_config(index).get("weight_map")
    if not isinstance(table, dict):
        raise BrokenModel(index, "it names no shards")
    return [index.with_name(name) for name in sorted(set(table.values()))]


def _stem(folder: Path) -> str:
    return "model" if folder.name.startswith("text_encoder") else "diffusion_pytorch_model"
