"""Full-size models with random weights, written tensor by tensor, so that memory holds one of them at a time.

The same seed gives the same weights in both layouts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import init_empty_weights

from diffusionapi.engine.models import original
from diffusionapi.engine.models.load import build
from diffusionapi.weights import folders
from diffusionapi.weights.families import CONFIGS, TEXT_ENCODERS

if TYPE_CHECKING:
    from torch import Tensor

    from diffusionapi.weights.families import TextEncoder

TYPES = {"fp16": ("F16", torch.float16), "bf16": ("BF16", torch.bfloat16), "fp32": ("F32", torch.float32)}

Shape = tuple[int, ...]
Make = Callable[[], "Tensor"]
Plan = dict[str, tuple[Shape, Make]]
"""Name in the file -> shape, and what makes the values."""


def main() -> None:
    options = _options()
    published = CONFIGS / options.family
    plans = {component: plan_of(published, component, options.seed) for component in _components(published)}
    if options.layout == "folder":
        shutil.copytree(published, options.out)
        for tokenizer in options.out.glob("tokenizer*"):
            for name in ("vocab.json", "merges.txt"):
                shutil.copy(CONFIGS / "clip" / name, tokenizer)
        for component, plan in plans.items():
            stem = "model" if component.startswith("text_encoder") else "diffusion_pytorch_model"
            write(options.out / component / f"{stem}.safetensors", plan, options.dtype)
    else:
        merged: Plan = {}
        for component, plan in plans.items():
            merged |= in_original_layout(published, component, plan)
        write(options.out, merged, options.dtype)
    print(options.out)  # noqa: T201


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/make_random_model", description=__doc__)
    families = sorted(one.name for one in CONFIGS.iterdir() if (one / "unet").is_dir())
    parser.add_argument("--family", choices=families, required=True)
    parser.add_argument("--layout", choices=("folder", "file"), default="folder")
    parser.add_argument("--out", type=Path, required=True, help="a new folder, or a .safetensors file")
    parser.add_argument("--dtype", choices=sorted(TYPES), default="fp16")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _components(published: Path) -> list[str]:
    return folders.components(folders.family(published))


def plan_of(published: Path, component: str, seed: int) -> Plan:
    """Under the names of published folders."""
    config = folders.read_config(published / component / "config.json")
    encoder = next((one for one in TEXT_ENCODERS[folders.family(published)] if one.folder == component), None)
    with init_empty_weights():
        module = build(config, component, encoder)
    plan: Plan = {}
    for name, empty in module.state_dict().items():
        prefixed = encoder is not None and not name.startswith(("text_model.", "text_projection."))
        shape = tuple(empty.shape)
        key = zlib.crc32(f"{seed} {component} {name.removeprefix('text_model.')}".encode())
        plan[f"text_model.{name}" if prefixed else name] = (shape, _maker(name, shape, key))
    return plan


def _maker(name: str, shape: Shape, key: int) -> Make:
    """As PyTorch starts layers: uniform by the number of inputs, norms at one, their biases at zero."""

    def make() -> Tensor:
        if len(shape) == 1:
            return torch.ones(shape) if "norm" in name and name.endswith("weight") else torch.zeros(shape)
        generator = torch.Generator().manual_seed(key)
        if "embedding.weight" in name:
            return torch.empty(shape).normal_(0, 0.02, generator=generator)
        bound = (shape[0] / torch.Size(shape).numel()) ** 0.5
        return torch.empty(shape).uniform_(-bound, bound, generator=generator)

    return make


def in_original_layout(published: Path, component: str, plan: Plan) -> Plan:
    encoder = _encoder(published, component)
    if encoder is not None:
        origin = original.text_encoder(encoder, encoder.origins[0])
    else:
        config = folders.read_config(published / component / "config.json")
        origin = (original.unet if component == "unet" else original.vae)(config)
    merged: Plan = {}
    for name, (shape, make) in plan.items():
        source = origin(name.removeprefix("text_model."))
        if source.turned:
            merged[source.name] = (shape[::-1], partial(_turned, make))
        elif source.third is None:
            merged[source.name] = (shape, make)
        elif source.third == 0:
            makes = [plan[name.replace("q_proj", one)][1] for one in ("q_proj", "k_proj", "v_proj")]
            merged[source.name] = ((3 * shape[0], *shape[1:]), partial(_joined, makes))
    return merged


def _turned(make: Make) -> Tensor:
    return make().T


def _joined(makes: list[Make]) -> Tensor:
    return torch.cat([make() for make in makes])


def _encoder(published: Path, component: str) -> TextEncoder | None:
    encoders = TEXT_ENCODERS[folders.family(published)]
    return next((one for one in encoders if one.folder == component), None)


def write(path: Path, plan: Plan, dtype: str) -> None:
    """A safetensors file, one tensor at a time."""
    code, kind = TYPES[dtype]
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (shape, _) in plan.items():
        start, end = end, end + torch.Size(shape).numel() * kind.itemsize
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, make in plan.values():
            file.write(_bytes(make().to(kind)))


def _bytes(tensor: Tensor) -> memoryview:
    values: Any = tensor.contiguous().view(torch.uint8).numpy()
    return memoryview(values).cast("B")


if __name__ == "__main__":
    main()
