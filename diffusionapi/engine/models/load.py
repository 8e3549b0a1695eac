"""Loads a model from a folder or an original checkpoint, without network, without copying what can be mapped.

Every part is built without memory for its weights; then each tensor is taken from the mapped file, moved to
the device and only there brought into the wanted type: a GPU converts at once what takes a CPU seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from diffusionapi.engine.models import building
from diffusionapi.engine.models.hashes import Hashes
from diffusionapi.engine.models.loaded import LoadedModel
from diffusionapi.engine.models.noise_levels import alphas_cumprod
from diffusionapi.engine.models.sources import Parts, open_source
from diffusionapi.engine.models.weights import fitted, placed, size_of
from diffusionapi.weights.families import TEXT_ENCODERS
from diffusionapi.weights.inspection import inspect

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from diffusionapi.weights.families import Config, Family, TextEncoder


def load(
    path: Path,
    device: torch.device,
    dtype: torch.dtype,
    *,
    channels_last: bool = False,
    allow_pickles: bool = False,
    hashes: Hashes | None = None,
) -> LoadedModel:
    """The model at `path`: a folder in any of the layouts that `places` knows, or a checkpoint file.

    `channels_last` is the order of memory that a GPU's convolutions want of their weights.
    """
    found = inspect(path, pickles=allow_pickles)
    source = open_source(found, half=dtype != torch.float32, pickles=allow_pickles)
    encoders = TEXT_ENCODERS[found.family]
    unet = part(source, "unet", device, dtype, channels_last=channels_last)
    vae = part(source, "vae", device, vae_dtype(found.family, dtype), channels_last=channels_last)
    text_encoders = [part(source, one.folder, device, dtype, one) for one in encoders]
    return LoadedModel(
        name=path.stem if path.is_file() else path.name,
        path=found.path,
        family=found.family,
        prediction=found.prediction,
        unet=unet,
        vae=vae,
        text_encoders=text_encoders,
        tokenizers=[source.tokenizer(one) for one in encoders],
        alphas_cumprod=alphas_cumprod(source.scheduler(), zero_snr=found.zero_snr),
        scaling_factor=float(vae.config.scaling_factor),
        zeroes_empty_prompt=found.zeroes_empty_prompt,
        unet_in_channels=int(unet.config.in_channels),
        dtype=dtype,
        device=device,
        bytes=sum(size_of(one) for one in [unet, vae, *text_encoders]),
        hashes=hashes or Hashes(),
    )


def vae_dtype(family: Family, dtype: torch.dtype) -> torch.dtype:
    """The VAE of SDXL overflows in fp16, so it is loaded in fp32 then."""
    half_fails = dtype == torch.float16 and family in ("sdxl", "refiner")
    return torch.float32 if half_fails else dtype


def part(
    source: Parts,
    component: str,
    device: torch.device,
    dtype: torch.dtype,
    encoder: TextEncoder | None = None,
    *,
    channels_last: bool = False,
) -> Any:
    """One component of a source: a module in eval mode, without gradients."""
    with building.empty():
        module = build(source.config(component), component, encoder)
    take = source.tensors(component)
    state = {}
    for name, empty in module.state_dict().items():
        wanted = name.removeprefix("text_model.")
        state[name] = fitted(take(wanted), empty.shape, source.path, wanted)
    module.load_state_dict(placed(state, device, dtype, channels_last=channels_last), assign=True)
    return module.to(device).eval().requires_grad_(False)


def build(config: Config, component: str, encoder: TextEncoder | None) -> nn.Module:
    module: nn.Module
    if encoder is None:
        module = (UNet2DConditionModel if component == "unet" else AutoencoderKL).from_config(config)
    else:
        text_model = CLIPTextModelWithProjection if encoder.projects else CLIPTextModel
        module = text_model(CLIPTextConfig.from_dict(config))
    return module
