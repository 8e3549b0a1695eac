"""Says what a model is, from its configuration or its tensors' shapes, without weights and without torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from diffusionapi.errors import BrokenModel
from diffusionapi.weights import folders, predictions, shapes
from diffusionapi.weights.families import (
    LATENT_CHANNELS,
    TEXT_ENCODERS,
    UNET,
    VAE,
    Family,
    Prediction,
    family_of_tensors,
    zeroes_by_default,
)
from diffusionapi.weights.header import PICKLES, Stamp, read_header, stamp
from diffusionapi.weights.places import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from diffusionapi.weights.header import Entry, Header


@dataclass(frozen=True, slots=True)
class Found:
    """`path` is what is loaded, `bytes` the weights on disk, `parameters` their number: times the size of one
    in the chosen type, that is the memory the model will take."""

    path: Path
    family: Family
    prediction: Prediction
    kind: Literal["folder", "file"]
    bytes: int
    parameters: int
    zero_snr: bool = False
    in_channels: int = LATENT_CHANNELS
    """Of the UNet; HOLE_CHANNELS of one made for inpainting."""
    zeroes_empty_prompt: bool = False
    """Whether no prompt means zeros to it, and not what its encoders make of an empty one."""
    text_width: int | None = None
    """How much its UNet is told of each token, where that is one number."""


def inspect(path: Path, *, pickles: bool = False) -> Found:
    """What lies at `path`. BrokenModel, naming the file, when it is plain from here that it cannot load."""
    path = resolve(path)
    return _folder(path, pickles=pickles) if path.is_dir() else _file(path, pickles=pickles)


def _folder(path: Path, *, pickles: bool) -> Found:
    family = folders.family(path)
    scheduler = folders.read_config(path / folders.SCHEDULER)
    size = parameters = 0
    for component in folders.components(family):
        folders.read_config(path / component / "config.json")
        for file in folders.weight_files(path / component, half=True, pickles=pickles):
            inside = _sizes_of_file(file, stamp(file))
            size, parameters = size + inside[0], parameters + inside[1]
    folders.check_vae(path / "vae" / "config.json")
    return Found(
        path,
        family,
        predictions.of_scheduler(path / folders.SCHEDULER, scheduler),
        "folder",
        size,
        parameters,
        zero_snr=bool(scheduler.get("rescale_betas_zero_snr")),
        in_channels=folders.in_channels(path),
        zeroes_empty_prompt=folders.zeroes_empty_prompt(path, family),
        text_width=folders.text_width(path),
    )


@lru_cache(maxsize=4096)
def _sizes_of_file(file: Path, _stamp: Stamp) -> tuple[int, int]:
    return _sizes(read_header(file).tensors.values())


def _file(path: Path, *, pickles: bool) -> Found:
    if path.suffix in PICKLES and not pickles:
        problem = "it is a pickle, which can run code; convert it to safetensors, or allow pickles"
        raise BrokenModel(path, problem)
    sidecar = predictions.sidecar(path)
    return _checkpoint(path, stamp(path), stamp(sidecar) if sidecar.is_file() else None)


@lru_cache(maxsize=1024)  # lists of models are read often, and headers are long
def _checkpoint(path: Path, _stamp: Stamp, _sidecar: Stamp | None) -> Found:
    header = read_header(path)
    family = family_of_tensors(header)
    prediction = predictions.of_checkpoint(header, family)
    _refuse_if_incomplete(header, family, prediction)
    prefixes = [UNET, VAE, *(prefix for one in TEXT_ENCODERS[family] for prefix in one.origins)]
    entries = [one for name, one in header.tensors.items() if name.startswith(tuple(prefixes))]
    return Found(
        path,
        family,
        prediction,
        "file",
        *_sizes(entries),
        zero_snr=predictions.zero_snr(header),
        in_channels=shapes.in_channels(header),
        zeroes_empty_prompt=zeroes_by_default(family),
        text_width=shapes.text_width(header),
    )


def _refuse_if_incomplete(header: Header, family: Family, prediction: Prediction) -> None:
    """A checkpoint may come without its VAE or text encoder, as those of other programs do."""
    shapes.vae(header, family, prediction)
    for encoder in TEXT_ENCODERS[family]:
        shapes.text_prefix(header, encoder)


def _sizes(entries: Iterable[Entry]) -> tuple[int, int]:
    entries = list(entries)
    return sum(one.bytes for one in entries), sum(one.values for one in entries)
