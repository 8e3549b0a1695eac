"""Whether a picture may be shown: diffusers' safety checker, which compares it with concepts of CLIP's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from diffusionapi.engine.blanking import NOTICES, blanked
from diffusionapi.engine.models import building
from diffusionapi.engine.models.weights import Weights, fitted, placed
from diffusionapi.weights import folders

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from diffusionapi.core.events import Sampled
    from diffusionapi.core.request import Blanking

_PROCESSOR = "preprocessor_config.json"


@dataclass(frozen=True, slots=True, eq=False)
class SafetyChecker:
    network: Any
    processor: Any
    device: torch.device

    @torch.inference_mode()
    def objects_to(self, picture: Image.Image) -> bool:
        seen = self.processor(images=picture, return_tensors="pt").pixel_values
        dtype = next(self.network.parameters()).dtype
        # It blackens what it is given besides; the picture itself is not needed for that.
        _, objections = self.network(seen.to(self.device, dtype), np.zeros((1, 1, 1, 3), dtype=np.float32))
        return bool(objections[0])


def checked(
    checker: SafetyChecker, picture: Image.Image, how: Sampled, blanking: Blanking
) -> tuple[Image.Image, Sampled]:
    """The picture, or what is shown in its place, as large; and what the record says of that."""
    if not checker.objects_to(picture):
        return picture, replace(how, checked=True)
    told = replace(how, checked=True, flagged=True, notices=(*how.notices, NOTICES[blanking]))
    return blanked(picture, blanking), told


def load(folder: Path, device: torch.device, *, pickles: bool) -> SafetyChecker:
    """The checker in a folder of the diffusers layout; BrokenModel if it cannot be used."""
    config = CLIPConfig.from_dict(folders.read_config(folder / "config.json"))
    with building.empty():
        network = StableDiffusionSafetyChecker(config)
    files = folders.weight_files(folder, half=device.type != "cpu", pickles=pickles)
    weights = Weights(files)
    state = {
        name: fitted(weights.first(_spellings(name)), empty.shape, files[0], name)
        for name, empty in network.state_dict().items()
    }
    # On the CPU in half precision convolutions are slow, and on a GPU twice the memory buys nothing.
    dtype = torch.float32 if device.type == "cpu" else torch.float16
    network.load_state_dict(placed(state, device, dtype), assign=True)
    return SafetyChecker(network.to(device).eval().requires_grad_(False), _processor(folder), device)


def _spellings(name: str) -> list[str]:
    """Published files have CLIP's vision model in one more shell."""
    return [name.replace("vision_model.", "vision_model.vision_model.", 1), name]


def _processor(folder: Path) -> Any:
    """As the folder says, or the one of a pipeline beside it; else as published."""
    for file in (folder / _PROCESSOR, folder.parent / "feature_extractor" / _PROCESSOR):
        if file.is_file():
            return CLIPImageProcessorPil.from_dict(folders.read_config(file))
    return CLIPImageProcessorPil()
