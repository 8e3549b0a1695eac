"""A LoRA file before its tensors are read: which layers it has, in which format, and its hash.

The formats that are about differ in how they spell the two matrices of a layer and the layer's name; both are
brought to one spelling here. Other kinds of adapters are told apart by their tensors and refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from diffusionapi.errors import BadRequest, BrokenModel
from diffusionapi.weights.header import read_header

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from diffusionapi.weights.header import Header

_ROLES = {
    # kohya, LyCORIS
    ".lora_down.weight": "down",
    ".lora_up.weight": "up",
    ".lora_mid.weight": "mid",
    ".alpha": "alpha",
    # peft
    ".lora_A.weight": "down",
    ".lora_B.weight": "up",
    ".lora_A.default.weight": "down",
    ".lora_B.default.weight": "up",
    # diffusers before peft
    ".lora_linear_layer.down.weight": "down",
    ".lora_linear_layer.up.weight": "up",
    ".lora.down.weight": "down",
    ".lora.up.weight": "up",
    "_lora.down.weight": "down",
    "_lora.up.weight": "up",
}
_OTHER_KINDS = {
    r"\.hada_": "a LoHa",
    r"\.lokr_": "a LoKr",
    r"\.(dora_scale|lora_magnitude_vector)": "a DoRA",
    r"\.oft_": "an OFT",
    r"\.on_input$": "an IA3",
    r"\.(diff|diff_b)$": "a difference of whole weights",
    r"\.[wb]_norm$": "a difference of norms",
    r"\.lora_[AB]\.bias$": "a LoRA with biases",
}
_NOT_FOR_NETWORKS = ("bundle_emb.",)
"""Textual inversions that OneTrainer packs into the file; they are read from the embeddings' folder only."""

_OLD_ATTENTION = re.compile(r"(?:\.processor)?\.to_(q|k|v|out)$")
_PREFIXES = {
    "lora_unet_": "unet.",
    "lora_te_": "te1.",
    "lora_te1_": "te1.",
    "lora_te2_": "te2.",
    "base_model_model_unet_": "unet.",
    "base_model_model_": "unet.",
    "unet_": "unet.",
    "diffusion_model_": "unet.",
    "text_encoder_2_": "te2.",
    "text_encoder_": "te1.",
    "text_encoders_clip_l_transformer_": "te1.",
    "text_encoders_clip_g_transformer_": "te2.",
}
_HASH_DIGITS = 12
_PIECE = 2**20


@dataclass(frozen=True, slots=True)
class Layer:
    """The names of its tensors. It adds `factor` (or alpha / rank) * up · mid · down to a weight."""

    down: str
    up: str
    mid: str | None
    alpha: str | None
    factor: float
    """For formats that tell alpha / rank in the metadata, or imply 1."""


@dataclass(frozen=True, slots=True)
class LoraFile:
    header: Header
    layers: Mapping[str, Layer]
    """By place: `unet.` or `te1.` or `te2.`, and the layer's name with underscores for all dots."""

    @property
    def name(self) -> str:
        return self.header.path.stem


def read(path: Path) -> LoraFile:
    """From the header. Raises BrokenModel for a damaged file, BadRequest for another kind of adapter."""
    header = read_header(path)
    tensors: dict[str, dict[str, str]] = {}
    for key in header.tensors:
        if not key.startswith(_NOT_FOR_NETWORKS):
            name, role = _split(key, path)
            tensors.setdefault(name, {})[role] = key
    if not tensors:
        raise BrokenModel(path, "it holds no LoRA")
    scaling = _Scaling(header)
    layers = {}
    for name, roles in tensors.items():
        if not {"down", "up"} <= roles.keys():
            raise BrokenModel(path, f"half of its layer {name} is missing")
        rank = header.shape(roles["down"])[0]
        factor = scaling.of(name, rank)
        layers[place(name)] = Layer(roles["down"], roles["up"], roles.get("mid"), roles.get("alpha"), factor)
    return LoraFile(header, layers)


def _split(key: str, path: Path) -> tuple[str, str]:
    """The name of the layer as the file spells it, and which of its tensors this is."""
    for mark, kind in _OTHER_KINDS.items():
        if re.search(mark, key):
            raise BadRequest("loras", f"{path.stem!r} is {kind}; this server applies LoRA and LoCon only")
    for ending, role in _ROLES.items():
        if key.endswith(ending):
            return key.removesuffix(ending), role
    raise BrokenModel(path, f"it is no LoRA: nothing is known of its tensor {key!r}")


def place(name: str) -> str:
    """Where a layer belongs, in one spelling for all formats."""
    flat = _modern(name).replace(".", "_")
    for prefix, part in _PREFIXES.items():
        if flat.startswith(prefix):
            return part + flat.removeprefix(prefix).removeprefix("text_model_")
    return f"unet.{flat}"


def _modern(name: str) -> str:
    """`attn1.processor.to_out` is `attn1.to_out.0`; a text encoder's `to_q` is `q_proj`."""
    found = _OLD_ATTENTION.search(name)
    if not found:
        return name
    module, which = name[: found.start()], found[1]
    if module.endswith("self_attn"):
        return f"{module}.{which}_proj"
    return f"{module}.to_out.0" if which == "out" else f"{module}.to_{which}"


class _Scaling:
    """alpha / rank as diffusers writes it into the metadata, for each part; 1 where it says nothing."""

    def __init__(self, header: Header) -> None:
        try:
            self._table: dict[str, Any] = json.loads(header.metadata.get("lora_adapter_metadata", "{}"))
        except ValueError as error:
            raise BrokenModel(header.path, "its metadata is damaged") from error

    def of(self, name: str, rank: int) -> float:
        part, _, inner = name.partition(".")
        alpha = self._table.get(f"{part}.lora_alpha", rank)
        for pattern, special in (self._table.get(f"{part}.alpha_pattern") or {}).items():
            if inner == pattern or inner.endswith(f".{pattern}"):
                alpha = special
        return float(alpha) / (math.sqrt(rank) if self._table.get(f"{part}.use_rslora") else rank)


def short_hash(path: Path) -> str:
    """The hash that A1111 shows and by which model sites find a file ("AutoV3"): the first 12 hex digits of
    the SHA-256 of what follows the header, so that editing the metadata does not change it."""
    return _short_hash(path, version(path))


def version(path: Path) -> tuple[int, int]:
    """Changes when the file does: its size and time."""
    try:
        state = path.stat()
    except OSError as error:
        raise BrokenModel(path, (error.strerror or str(error)).lower()) from error
    return state.st_size, state.st_mtime_ns


@lru_cache(maxsize=1024)
def _short_hash(path: Path, _version: tuple[int, int]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(struct.unpack("<Q", file.read(8))[0], 1)
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()[:_HASH_DIGITS]
