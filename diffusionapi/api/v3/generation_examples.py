"""One request of each kind, for the documentation."""

from __future__ import annotations

from typing import Any

Example = dict[str, Any]

_KEY = {"key": "5f0c4d1e…"}
_PICTURE = "https://example.com/lighthouse.png"

TEXT2IMG: Example = _KEY | {
    "prompt": "a lighthouse on a cliff at sunset",
    "negative_prompt": "people",
    "width": "512",
    "height": "512",
    "samples": "1",
    "num_inference_steps": "20",
    "seed": None,
    "guidance_scale": 7.5,
    "safety_checker": "yes",
    "webhook": None,
    "track_id": None,
}
IMG2IMG: Example = TEXT2IMG | {"init_image": _PICTURE, "strength": 0.7}
INPAINT: Example = IMG2IMG | {"mask_image": "https://example.com/mask.png"}
_COMMUNITY: Example = {
    "model_id": "picturebook",
    "scheduler": "UniPCMultistepScheduler",
    "lora_model": None,
    "lora_strength": None,
    "embeddings_model": None,
    "upscale": "no",
}
CONTROLNET: Example = (
    TEXT2IMG
    | _COMMUNITY
    | {"controlnet_model": "canny", "auto_hint": "yes", "guess_mode": "no", "init_image": _PICTURE}
)
ENLARGEMENT: Example = _KEY | {"url": _PICTURE, "scale": 3, "webhook": None, "face_enhance": False}


def of_community(example: Example) -> Example:
    return example | _COMMUNITY


def examples(value: Example) -> dict[str, Any]:
    """As the framework takes them."""
    return {"lighthouse": {"summary": "A lighthouse", "value": value}}
