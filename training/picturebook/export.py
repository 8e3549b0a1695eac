"""Writes a trained picture book as a folder of diffusers, laid out as the published Stable Diffusion 1.x."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file

from training.picturebook import card, decoder, networks, noise, recipe, tokenizer
from training.picturebook.autoencoder import build
from training.picturebook.latents import Whitening

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

DECODER = "decoder.pt"

INDEX: dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", noise.SCHEDULER["_class_name"]],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def export(run: Path, folder: Path) -> Path:
    """The state of `run` as a model in `folder`, in the place of what is there. A run without a decoder yet
    gets the one that only enlarges."""
    white = Whitening.load(run / recipe.WHITENING)
    state = torch.load(run / recipe.DENOISER, map_location="cpu", weights_only=True)
    vae = build(white)
    if (run / DECODER).exists():
        vae.load_state_dict(torch.load(run / DECODER, map_location="cpu", weights_only=True)["weights"])
    with replaced(folder) as part:
        tokenizer.make(part / "tokenizer")
        words = networks.text_encoder(tokenizer.load(part / "tokenizer"))
        words.load_state_dict(_of("text.", state["average"]))
        unet = networks.unet()
        unet.load_state_dict(_of("unet.", state["average"]))
        save_text_encoder(words, part / "text_encoder")
        unet.half().save_pretrained(part / "unet")
        decoder.export(vae, part / "vae")
        white.save(part / recipe.WHITENING)
        save_scheduler(part)
        save_index(part, INDEX)
        parameters = sum(one.numel() for part in (words, unet, vae) for one in part.parameters())
        size = sum(file.stat().st_size for file in part.rglob("*") if file.is_file())
        card.write(part, parameters=parameters, size=size, samples=state["samples"])
    return folder


def _of(part: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(part): weight for key, weight in weights.items() if key.startswith(part)}


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `folder` when the block ends well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        part = Path(temporary) / "new"
        part.mkdir()
        yield part
        if folder.exists():
            folder.rename(Path(temporary) / "old")
        part.rename(folder)


def copied(model: Path, part: Path, names: tuple[str, ...]) -> None:
    """Parts of another exported model, into `part`."""
    for name in names:
        copied_as(model / name, part / name)


def copied_as(source: Path, to: Path) -> None:
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, to)


def save_text_encoder(encoder: Any, folder: Path) -> None:
    """In full precision: transformers loads what a file has, diffusers loads the rest in float32, and a
    pipeline with both fails. Under the published names, with the prefix that transformers 5 leaves out."""
    folder.mkdir(parents=True)
    encoder.config.architectures = [type(encoder).__name__]
    encoder.config.dtype = "float32"
    encoder.config.save_pretrained(folder)
    weights = {
        key if key.startswith(("text_model.", "text_projection.")) else f"text_model.{key}": weight
        for key, weight in encoder.state_dict().items()
        if not key.endswith("position_ids")
    }
    weights = {key: weight.float().contiguous() for key, weight in weights.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def save_scheduler(folder: Path) -> None:
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(noise.SCHEDULER, indent=2) + "\n")


def save_index(folder: Path, index: Mapping[str, Any]) -> None:
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
