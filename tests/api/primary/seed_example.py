"""The complete example of the primary API's document: a request with every field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

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
    """Folders and files under which the catalog finds the example's models and LoRA."""
    for name in ("stable-diffusion-xl-base-1.0", "stable-diffusion-xl-refiner-1.0"):
        install_model(data_dir, name)
    loras = data_dir / "stable_diffusion" / "loras"
    loras.mkdir(parents=True)
    (loras / "my-lora.safetensors").touch()


def install_model(data_dir: Path, name: str) -> None:
    unet = data_dir / "stable_diffusion" / "models" / name / "unet"
    unet.mkdir(parents=True)
    (unet / "diffusion_pytorch_model.safetensors").touch()
    (unet.parent / "model_index.json").write_text("{}")
