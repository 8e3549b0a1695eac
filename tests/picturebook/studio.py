"""Has pictures painted over HTTP, and measures what they show."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import numpy as np
from PIL import Image

from tests.server import PROJECT
from training.picturebook.world.plan import COLOURS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server import Server

MODEL = PROJECT / "stable_diffusion" / "models" / "picturebook"
SMALL: dict[str, Any] = {
    "width": 256,
    "height": 256,
    "steps": 20,
    "seed": 11,
    "fileType": "png",
    "sampler_name": "DPM++ 2M",
    "scheduler_type": "karras",
    "cfg_scale": 5,
}


def bundled(root: Path) -> None:
    """Installs what comes with the project, and nothing that somebody has put beside it."""
    for one in (PROJECT / "stable_diffusion").glob("*/picturebook*"):
        link = root / "stable_diffusion" / one.parent.name / one.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(one)


class Studio:
    def __init__(self, server: Server) -> None:
        self.server = server

    def paint(self, prompt: str, path: str = "/txt2img", **fields: Any) -> np.ndarray:
        """The picture as H x W x 3."""
        return pixels(self.answer(prompt, path, **fields))

    def answer(self, prompt: str, path: str = "/txt2img", **fields: Any) -> dict[str, Any]:
        body = SMALL | {"prompt": prompt} | fields
        accepted = httpx.post(self.server.url + path, json=body, timeout=30)
        assert accepted.status_code == 200, accepted.text
        found = self.server.result(accepted.json()["job_id"], timeout=100)
        assert found["state"] == "done", found["error"]
        return found


def pixels(answer: dict[str, Any]) -> np.ndarray:
    picture = Image.open(io.BytesIO(base64.b64decode(answer["image"])))
    return np.asarray(picture.convert("RGB"), dtype=np.float32)


def as_base64(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def colour(picture: np.ndarray) -> str:
    """The world's colour nearest to the mean."""
    mean = picture.reshape(-1, 3).mean(0)
    return min(COLOURS, key=lambda name: float(np.square(mean - COLOURS[name]).sum()))


def middle(picture: np.ndarray, share: float = 0.2) -> np.ndarray:
    high, wide = picture.shape[:2]
    rows, columns = (
        slice(round(side * (0.5 - share / 2)), round(side * (0.5 + share / 2))) for side in (high, wide)
    )
    return picture[rows, columns]


def corners(picture: np.ndarray, share: float = 0.12) -> np.ndarray:
    side = round(min(picture.shape[:2]) * share)
    parts = [
        picture[rows, columns]
        for rows in (slice(side), slice(-side, None))
        for columns in (slice(side), slice(-side, None))
    ]
    return np.stack(parts)


def share(picture: np.ndarray, name: str, within: float = 90) -> float:
    """How much of the picture has one of the world's colours."""
    away = np.sqrt(np.square(picture - np.array(COLOURS[name])).sum(-1))
    return float((away < within).mean())


def light(picture: np.ndarray) -> float:
    return float((picture @ np.array([0.299, 0.587, 0.114])).mean())


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference of their values, 0 to 255."""
    return float(np.abs(one - other).mean())


def shrunk(picture: np.ndarray, side: int = 32) -> np.ndarray:
    """What is where, without its edges."""
    small = Image.fromarray(picture.astype(np.uint8)).resize((side, side), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def sharpness(picture: np.ndarray) -> float:
    """How steep its steepest edges are: of all steps from pixel to pixel, the thousandth part."""
    grey = picture.mean(-1)
    slopes = np.concatenate([np.abs(np.diff(grey, axis=axis)).ravel() for axis in (0, 1)])
    return float(np.quantile(slopes, 0.999))
