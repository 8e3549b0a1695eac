from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from diffusionapi.errors import BrokenModel
from diffusionapi.weights import trained
from tests.stubs import a_lora

if TYPE_CHECKING:
    from pathlib import Path

SAID: dict[str, Any] = {
    "name": "a-dog",
    "model": "stable-diffusion-v1-5",
    "family": "sd1",
    "prediction": "epsilon",
    "instance_prompt": "a photo of sks dog, größer",
    "steps": 800,
    "rank": 16,
    "alpha": 8,
    "created_at": 1700000000.25,
}


def a_file(folder: Path, **fields: Any) -> Path:
    path = folder / "a-dog.safetensors"
    save_file({}, path, trained.metadata(**(SAID | fields)))
    return path


def test_what_was_said_is_read_back(tmp_path: Path) -> None:
    assert trained.read(a_file(tmp_path)) == trained.TrainedLora(
        "stable-diffusion-v1-5", "a photo of sks dog, größer", 1700000000.25
    )


@pytest.mark.parametrize(
    ("family", "prediction", "base", "v2"),
    [
        ("sd1", "epsilon", "sd_v1", "False"),
        ("sd2", "epsilon", "sd_v2", "True"),
        ("sd2", "v_prediction", "sd_v2_v", "True"),
        ("sdxl", "epsilon", "sdxl_base_v1-0", "False"),
    ],
)
def test_others_read_what_kohyas_scripts_would_have_written(
    tmp_path: Path, family: str, prediction: str, base: str, v2: str
) -> None:
    with safe_open(a_file(tmp_path, family=family, prediction=prediction), "np") as file:
        said = file.metadata()
    assert (said["ss_base_model_version"], said["ss_v2"]) == (base, v2)
    assert (said["ss_network_module"], said["ss_network_dim"]) == ("networks.lora", "16")
    assert (said["ss_network_alpha"], said["ss_steps"]) == ("8.0", "800")
    assert (said["ss_output_name"], said["ss_sd_model_name"]) == ("a-dog", "stable-diffusion-v1-5")


def test_a_lora_from_elsewhere_was_not_trained_here(tmp_path: Path) -> None:
    assert trained.read(a_lora(tmp_path / "other.safetensors")) is None


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(struct.pack("<Q", 100) + b"{")
    with pytest.raises(BrokenModel):
        trained.read(path)
