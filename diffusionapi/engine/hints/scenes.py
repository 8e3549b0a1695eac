"""How far things are, how surfaces lie and what they are: by networks for transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from transformers import (
    AutoImageProcessor,
    AutoModelForDepthEstimation,
    AutoModelForSemanticSegmentation,
)

from diffusionapi.engine.hints.palette import ADE20K
from diffusionapi.engine.hints.plain import drawn
from diffusionapi.errors import BrokenModel

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from diffusionapi.engine.hints.plain import Pixels

_STEEPNESS = 2 * np.pi
"""How deep a normal points into the picture, beside the slopes of a depth of …"""
_DEPTH = 1000
"""… which is about what MiDaS' hybrid network gives; others give 1, or metres."""
_BACKGROUND = 0.4
"""What is farther than this share of the depth has no slope."""
_DAMAGE = (OSError, ValueError, KeyError, RuntimeError)
"""What transformers raises at folders that it cannot use."""


class SceneNetwork:
    """A network and what brings pictures to the form that it was trained on."""

    def __init__(self, folder: Path, kind: Any, device: torch.device) -> None:
        try:
            self._processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
            self._network = kind.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        except _DAMAGE as error:
            raise BrokenModel(folder, (str(error) or type(error).__name__).splitlines()[0]) from error
        self._network = self._network.to(device).eval()
        self._device = device

    @torch.inference_mode()
    def says(self, picture: Image.Image) -> Any:
        seen = self._processor(images=picture, return_tensors="pt").to(self._device)
        return self._network(**seen)


def depth_network(folder: Path, device: torch.device) -> SceneNetwork:
    return SceneNetwork(folder, AutoModelForDepthEstimation, device)


def segmentation_network(folder: Path, device: torch.device) -> SceneNetwork:
    return SceneNetwork(folder, AutoModelForSemanticSegmentation, device)


def depth(network: SceneNetwork, picture: Image.Image) -> Image.Image:
    """White is near."""
    return drawn(_nearness(network, picture) * 255)


def normal(network: SceneNetwork, picture: Image.Image) -> Image.Image:
    """As the first ControlNet for normals had it: from the slope of the depth; x is blue, y green, z red."""
    near = _nearness(network, picture)
    slopes = [cv2.Sobel(near, cv2.CV_32F, *axes, ksize=3) for axes in ((1, 0), (0, 1))]
    across, down = (np.where(near < _BACKGROUND, 0, slope) * _DEPTH for slope in slopes)
    lying = np.stack([across, down, np.full_like(across, _STEEPNESS)], axis=2)
    lying /= np.linalg.norm(lying, axis=2, keepdims=True)
    return drawn((lying * 127.5 + 127.5).clip(0, 255)[:, :, ::-1])


def segmentation(network: SceneNetwork, picture: Image.Image) -> Image.Image:
    """Each of ADE20K's classes in its colour."""
    scores = torch.nn.functional.interpolate(
        network.says(picture).logits.float(), size=picture.size[::-1], mode="bilinear", align_corners=False
    )
    classes = scores[0].argmax(dim=0).cpu().numpy()
    return drawn(np.asarray(ADE20K, dtype=np.uint8)[classes % len(ADE20K)])


def _nearness(network: SceneNetwork, picture: Image.Image) -> Pixels:
    """From 0, the farthest, to 1; float32, of the picture's size."""
    said = network.says(picture).predicted_depth[0].float().cpu().numpy()
    near = np.asarray(cv2.resize(said, picture.size, interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    near = near - near.min()
    return near / max(float(near.max()), 1e-9)
