"""Miniature models with random weights in the true layouts: the published configurations with small widths.

`make_sd1(folder)` and its sisters save a diffusers pipeline folder in well under a second; `as_*` put such a
folder into the other forms in which models are found. Same arguments, same weights.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from diffusionapi.engine.models import original
from diffusionapi.weights import folders
from diffusionapi.weights.families import CONFIGS, TEXT_ENCODERS

if TYPE_CHECKING:
    from collections.abc import Mapping

REVISION = "0123456789abcdef0123456789abcdef01234567"

_VAE = {"block_out_channels": [32, 32, 32, 32]}
_CLIP_L = {"hidden_size": 32, "intermediate_size": 128, "num_attention_heads": 1, "num_hidden_layers": 4}
_OPEN_CLIP = {"hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 1, "num_hidden_layers": 4}
_SD2 = {"block_out_channels": [32, 32, 64, 64], "attention_head_dim": [1, 1, 1, 1], "cross_attention_dim": 64}
_XL = {"addition_time_embed_dim": 8}

SMALLER: dict[str, dict[str, dict[str, Any]]] = {
    "sd1": {
        "unet": {"block_out_channels": [32, 32, 64, 64], "cross_attention_dim": 32},
        "vae": _VAE,
        "text_encoder": _CLIP_L | {"projection_dim": 32},
    },
    "sd2-base": {"unet": _SD2, "vae": _VAE, "text_encoder": _OPEN_CLIP | {"projection_dim": 32}},
    "sd2-v": {"unet": _SD2, "vae": _VAE, "text_encoder": _OPEN_CLIP | {"projection_dim": 32}},
    "sdxl": {
        "unet": _XL
        | {
            "block_out_channels": [32, 64, 64],
            "attention_head_dim": [1, 1, 1],
            "cross_attention_dim": 32 + 64,
            "projection_class_embeddings_input_dim": 6 * 8 + 64,
            "transformer_layers_per_block": [1, 1, 2],
        },
        "vae": _VAE,
        "text_encoder": _CLIP_L | {"projection_dim": 32},
        "text_encoder_2": _OPEN_CLIP | {"projection_dim": 64},
    },
    "refiner": {
        "unet": _XL
        | {
            "block_out_channels": [32, 64, 64, 64],
            "attention_head_dim": [1, 1, 1, 1],
            "cross_attention_dim": 64,
            "projection_class_embeddings_input_dim": 5 * 8 + 64,
            "transformer_layers_per_block": 1,
        },
        "vae": _VAE,
        "text_encoder_2": _OPEN_CLIP | {"projection_dim": 64},
    },
}
"""Configuration of the published model -> component -> what a miniature has smaller."""

_TEXT_CLASSES = {
    "CLIPTextModel": CLIPTextModel,
    "CLIPTextModelWithProjection": CLIPTextModelWithProjection,
}


def make_sd1(folder: Path, *, seed: int = 1, dtype: torch.dtype = torch.float32, variant: str = "") -> Path:
    """SD 1.5: one CLIP-L text encoder, PNDM scheduler, epsilon."""
    return make("sd1", folder, seed=seed, dtype=dtype, variant=variant)


def make_sd2(
    folder: Path, v: bool = False, *, seed: int = 2, dtype: torch.dtype = torch.float32, variant: str = ""
) -> Path:
    """SD 2.1-base (epsilon), or 2.1 (v-prediction): one OpenCLIP text encoder, linear projections."""
    return make("sd2-v" if v else "sd2-base", folder, seed=seed, dtype=dtype, variant=variant)


def make_sdxl(folder: Path, *, seed: int = 3, dtype: torch.dtype = torch.float32, variant: str = "") -> Path:
    """SDXL base 1.0: two text encoders, size conditioning."""
    return make("sdxl", folder, seed=seed, dtype=dtype, variant=variant)


def make_refiner(
    folder: Path, *, seed: int = 4, dtype: torch.dtype = torch.float32, variant: str = ""
) -> Path:
    """SDXL refiner 1.0: the second text encoder alone, aesthetic score."""
    return make("refiner", folder, seed=seed, dtype=dtype, variant=variant)


def make_inpainting(published: str, folder: Path, *, seed: int = 5) -> Path:
    """The family of `published` with a UNet for inpainting, which takes nine channels."""
    return make(published, folder, seed=seed, unet={"in_channels": 9})


def make(
    published: str,
    folder: Path,
    *,
    seed: int,
    dtype: torch.dtype = torch.float32,
    variant: str = "",
    unet: Mapping[str, Any] | None = None,
) -> Path:
    """Save a miniature of the `published` configuration; `variant="fp16"` names its files as that variant.

    `unet` is what its UNet has otherwise.
    """
    shutil.copytree(CONFIGS / published, folder, dirs_exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for component, smaller in SMALLER[published].items():
            config_file = folder / component / "config.json"
            config = json.loads(config_file.read_text()) | smaller
            config |= (unet or {}) if component == "unet" else {}
            config_file.write_text(json.dumps(config, indent=2) + "\n")
            stem = "model" if component.startswith("text") else "diffusion_pytorch_model"
            name = f"{stem}.{variant}.safetensors" if variant else f"{stem}.safetensors"
            weights = {name: tensor.to(dtype) for name, tensor in _random_weights(config).items()}
            save_file(weights, folder / component / name, {"format": "pt"})
    for tokenizer in folder.glob("tokenizer*"):
        shutil.copy(CONFIGS / "clip" / "vocab.json", tokenizer)
        shutil.copy(CONFIGS / "clip" / "merges.txt", tokenizer)
    return folder


def _random_weights(config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Under the names of the published files."""
    if config.get("_class_name") == "UNet2DConditionModel":
        return _state(UNet2DConditionModel.from_config(dict(config)))
    if config.get("_class_name") == "AutoencoderKL":
        return _state(AutoencoderKL.from_config(dict(config)))
    state = _state(_TEXT_CLASSES[config["architectures"][0]](CLIPTextConfig(**config)))
    prefixed = ("text_model.", "text_projection.")
    return {
        name if name.startswith(prefixed) else f"text_model.{name}": tensor for name, tensor in state.items()
    }


def _state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.contiguous() for name, tensor in module.state_dict().items()}


def as_hub_cache(folder: Path, root: Path, name: str, *, refs: bool = True) -> Path:
    """The model in `folder` as the hub's cache lays out `org/name`: refs, snapshots and links to blobs."""
    outer = root / f"models--{name.replace('/', '--')}"
    snapshot = outer / "snapshots" / REVISION
    blobs = outer / "blobs"
    blobs.mkdir(parents=True)
    for number, file in enumerate(sorted(one for one in folder.rglob("*") if one.is_file())):
        link = snapshot / file.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        blob = blobs / f"{number:040x}"
        shutil.copy(file, blob)
        link.symlink_to(Path(*[".."] * (len(link.relative_to(outer).parts) - 1), "blobs", blob.name))
    if refs:
        (outer / "refs").mkdir()
        (outer / "refs" / "main").write_text(REVISION)
    return outer


def as_half(folder: Path, copy: Path) -> Path:
    """A copy that has its weights in fp16 variant files only."""
    shutil.copytree(folder, copy)
    for file in copy.rglob("*.safetensors"):
        half = {name: tensor.half() for name, tensor in load_file(file).items()}
        save_file(half, file.with_name(f"{file.stem}.fp16.safetensors"), {"format": "pt"})
        file.unlink()
    return copy


def as_checkpoint(
    folder: Path, file: Path, *, dtype: torch.dtype | None = None, metadata: Mapping[str, str] | None = None
) -> Path:
    """The model in `folder` as one file in the original layout, like those that people share."""
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors = original_tensors(folder)
    if dtype is not None:
        tensors = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    save_file(tensors, file, {"format": "pt", **(metadata or {})})
    return file


def original_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of a folder under their original names, with what such files hold besides."""
    family = folders.family(folder)
    found: dict[str, torch.Tensor] = {}
    for component in folders.components(family):
        config = folders.read_config(folder / component / "config.json")
        encoder = next((one for one in TEXT_ENCODERS[family] if one.folder == component), None)
        if encoder is not None:
            origin = original.text_encoder(encoder, encoder.origins[0])
        else:
            origin = (original.unet if component == "unet" else original.vae)(config)
        thirds: dict[str, list[torch.Tensor]] = {}
        for file in folders.weight_files(folder / component, half=False):
            for name, tensor in load_file(file).items():
                source = origin(name.removeprefix("text_model."))
                if source.third is not None:
                    thirds.setdefault(source.name, [tensor] * 3)[source.third] = tensor
                elif source.turned:
                    found[source.name] = tensor.T.contiguous()
                elif component == "vae" and ".attentions." in name and tensor.ndim == 2:
                    found[source.name] = tensor[:, :, None, None]
                else:
                    found[source.name] = tensor
        found |= {name: torch.cat(three) for name, three in thirds.items()}
    if family == "sd2":
        _add_unused_layer(found, TEXT_ENCODERS["sd2"][0].origins[0])
    found["alphas_cumprod"] = torch.linspace(0.99, 0.01, 1000)
    found["model_ema.decay"] = torch.tensor(0.9999)
    return found


def _add_unused_layer(found: dict[str, torch.Tensor], prefix: str) -> None:
    """SD 2 checkpoints hold OpenCLIP's last layer, which is not used."""
    layers = 0
    while f"{prefix}transformer.resblocks.{layers}.ln_1.weight" in found:
        layers += 1
    last = f"{prefix}transformer.resblocks.{layers - 1}."
    unused = f"{prefix}transformer.resblocks.{layers}."
    found |= {name.replace(last, unused): one + 1 for name, one in found.items() if name.startswith(last)}


def make_safety_checker(folder: Path, *, threshold: float) -> Path:
    """A checker that objects to what lies nearer than `threshold` to any concept: -2 all, 2 nothing."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    vision = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 1, "num_hidden_layers": 2}
    config = CLIPConfig(vision_config=vision | {"image_size": 32, "patch_size": 8}, projection_dim=16)
    folder.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        state = _state(StableDiffusionSafetyChecker(config))
        for name in ("concept_embeds", "special_care_embeds"):
            state[name] = torch.randn_like(state[name])
    state["concept_embeds_weights"] = torch.full((17,), threshold)
    state["special_care_embeds_weights"] = torch.full((3,), 2.0)
    published = {
        name.replace("vision_model.", "vision_model.vision_model.", 1): one for name, one in state.items()
    }
    save_file(published, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config.to_dict(), default=str))
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(sizes))
    return folder
