"""The complete example of the primary API's document: a request with every field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests import stubs

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.weights.families import Family

REQUEST: dict[str, Any] = {
    "prompt": "a beautiful green forest with a river and a waterfall",
    "negative_prompt": "blurry, bad quality",
    "steps": 30,
    "cfg_scale": 7.0,
    "width": 1024,
    "height": 1024,
    "model": "stable-diffusion-xl-base-1.0",
    "refiner_checkpoint": "stable-diffusion-xl-refiner-1.0",
    "refiner_switch_at": 0.8,
    "sampler_name": "DPM++ 2M Karras",
    "scheduler_type": "karras",
    "fileType": "jpg",
    "jpeg_quality": 85,
    "loras": [{"name": "my-lora", "scale": 0.8}],
    "hires": {
        "enabled": True,
        "scale": 2.0,
        "upscaler": "Latent",
        "steps": 20,
        "denoising_strength": 0.4,
    },
    "seed": 123456789,
}


def install_its_names(data_dir: Path) -> None:
    """The example's models and LoRA, as far as anybody looks who does not draw."""
    install_model(data_dir, "stable-diffusion-xl-base-1.0", "sdxl")
    install_model(data_dir, "stable-diffusion-xl-refiner-1.0", "refiner")
    stubs.a_lora(data_dir / "stable_diffusion" / "loras" / "my-lora.safetensors", "sdxl")


def install_model(data_dir: Path, name: str, family: Family = "sd1") -> None:
    stubs.a_model(data_dir / "stable_diffusion" / "models" / name, family)
