"""Paints the faces of a picture anew: found in it, restored in a square, set into its enlargement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from diffusionapi.engine.faces import geometry
from diffusionapi.engine.faces.detector import Detector
from diffusionapi.engine.upscalers.spandrel import read
from diffusionapi.errors import BrokenModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from diffusionapi.engine.faces.detector import Face
    from diffusionapi.engine.upscalers.upscaler import Upscaling

_MOST = 32
"""Faces of a picture, the surest of them."""
_SEED = 0
"""GFPGAN adds noise to what it paints; the same picture gets the same."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceRestorer:
    find: Callable[[Image.Image], list[Face]]
    paint: Callable[[Any], Any]
    """From a square of RGB levels in -1..1, (512, 512, 3) in float32, to another one."""

    def __call__(self, picture: Image.Image, larger: Image.Image) -> Upscaling:
        """The larger one with the faces of the picture restored; what is told is the share of them."""
        faces = self.find(picture)[:_MOST]
        if not faces:
            return larger
        levels, result = np.asarray(picture.convert("RGB")), np.array(larger.convert("RGB"))
        scale = larger.width / picture.width, larger.height / picture.height
        for done, face in enumerate(faces, 1):
            matrix = geometry.to_square(face.points)
            painted = self.paint(geometry.cut(levels, matrix).astype(np.float32) / 127.5 - 1)
            square = (np.clip(painted, -1, 1) + 1) * 127.5
            geometry.paste(result, square, geometry.enlarged(matrix, scale))
            yield done / len(faces)
        return Image.fromarray(result)


def load(restorer: Path, detector: Path, device: torch.device) -> FaceRestorer:
    """BrokenModel if one of the files cannot be used."""
    network = read(restorer)
    if network.purpose != "FaceSR":
        raise BrokenModel(
            restorer, f"a network of the kind {network.architecture.name} does not restore faces"
        )
    model = network.to(device, torch.float32).eval().model
    return FaceRestorer(Detector(detector).faces, _painter(model, device))


def _painter(model: Any, device: torch.device) -> Callable[[Any], Any]:
    """Both kinds that there are, GFPGAN and RestoreFormer, take and give -1..1; spandrel's own call gives
    GFPGAN 0..1."""

    @torch.inference_mode()
    def paint(square: Any) -> Any:
        pixels = torch.from_numpy(np.ascontiguousarray(square)).permute(2, 0, 1)[None].to(device)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(_SEED)
            painted = model(pixels)[0]
        return painted[0].float().cpu().permute(1, 2, 0).numpy()

    return paint
