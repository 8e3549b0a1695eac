"""The lists: models, labels, LoRAs, upscalers, samplers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from diffusionapi.main import create_app
from tests import stubs
from tests.api.primary.seed_example import install_model

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.settings import Settings

SEED_LABELS = [
    ("Amanatsu", "John6666__amanatsu-illustrious-v11-sdxl"),
    ("ChikMix V3", "models--digiplay--ChikMix_V3"),
    ("Ilustmix", "models--John6666--ilustmix-v6-sdxl"),
    ("MeinaMix V11", "models--Meina--MeinaMix_V11"),
    ("Pastel Mix", "models--mirroring--pastel-mix"),
    ("PlantMilk (HempII)", "models--misri--plantMilkModelSuite_hempII"),
    ("PlantMilk (Walnut)", "models--misri--plantMilkModelSuite_walnut"),
]


def test_hello_is_exactly_the_documented_one(idle_client: TestClient) -> None:
    assert idle_client.get("/hello").json() == {"ok": True}


def test_models_are_listed_by_name_with_their_labels(idle_client: TestClient, tmp_path: Path) -> None:
    for name in ("models--digiplay--ChikMix_V3", "John6666__amanatsu-illustrious-v11-sdxl", "my-own"):
        install_model(tmp_path, name)
    checkpoint = tmp_path / "stable_diffusion" / "models" / "dreamy.safetensors"
    checkpoint.touch()
    assert idle_client.get("/models").json() == {
        "status": "success",
        "models": [
            {"name": "fake", "label": "fake"},
            {"name": "John6666__amanatsu-illustrious-v11-sdxl", "label": "Amanatsu"},
            {"name": "dreamy", "label": "dreamy"},
            {"name": "models--digiplay--ChikMix_V3", "label": "ChikMix V3"},
            {"name": "my-own", "label": "my-own"},
        ],
    }


def test_a_folder_without_a_model_is_not_listed(idle_client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "stable_diffusion" / "models" / "empty").mkdir(parents=True)
    assert [one["name"] for one in idle_client.get("/models").json()["models"]] == ["fake"]


def test_aliases_are_the_seven_documented_pairs_by_label(idle_client: TestClient) -> None:
    answer = idle_client.get("/models/aliases").json()
    assert answer["status"] == "success"
    assert [(one["label"], one["name"]) for one in answer["models"]] == SEED_LABELS
    assert isinstance(answer["message"], str)


def test_loras_are_listed_with_the_default_scale(idle_client: TestClient, tmp_path: Path) -> None:
    folder = tmp_path / "stable_diffusion" / "loras"
    folder.mkdir(parents=True)
    for name in ("my-lora.safetensors", "another-lora.safetensors", "notes.txt", ".hidden.safetensors"):
        (folder / name).touch()
    assert idle_client.get("/loras").json() == {
        "status": "success",
        "loras": [{"name": "another-lora", "scale": 1.0}, {"name": "my-lora", "scale": 1.0}],
    }


def test_details_say_what_models_are(idle_client: TestClient, tmp_path: Path) -> None:
    install_model(tmp_path, "models--digiplay--ChikMix_V3", "sd2")
    (tmp_path / "stable_diffusion" / "models" / "half.safetensors").touch()
    answer = idle_client.get("/models", params={"details": "true"}).json()
    assert answer["status"] == "success"
    fake, half, whole = answer["models"]
    assert fake == dict.fromkeys(fake, None) | {"name": "fake", "label": "fake"}
    assert half["family"] is None
    assert "half.safetensors cannot be used: it is cut short" in half["problem"]
    assert whole == {
        "name": "models--digiplay--ChikMix_V3",
        "label": "ChikMix V3",
        "family": "sd2",
        "prediction": "epsilon",
        "size_bytes": 0,
        "problem": None,
    }


def test_details_say_what_loras_were_made_for(idle_client: TestClient, tmp_path: Path) -> None:
    folder = tmp_path / "stable_diffusion" / "loras"
    file = stubs.a_lora(folder / "drawn.safetensors", "sdxl")
    (folder / "half.safetensors").touch()
    drawn, half = idle_client.get("/loras", params={"details": "true"}).json()["loras"]
    assert drawn == {
        "name": "drawn",
        "scale": 1.0,
        "families": ["sdxl"],
        "size_bytes": file.stat().st_size,
        "problem": None,
    }
    assert (half["name"], half["families"]) == ("half", [])
    assert "half.safetensors cannot be used" in half["problem"]


def test_upscalers_begin_with_latent_and_end_with_files(idle_client: TestClient, tmp_path: Path) -> None:
    folder = tmp_path / "stable_diffusion" / "upscalers"
    folder.mkdir(parents=True)
    (folder / "ESRGAN_4x.pth").touch()
    upscalers = idle_client.get("/upscalers").json()["upscalers"]
    assert upscalers[0] == {"name": "Latent", "path": "internal"}
    assert upscalers[-1] == {"name": "ESRGAN_4x", "path": "stable_diffusion/upscalers/ESRGAN_4x.pth"}


def test_sampling_methods_begin_with_the_documented_ones(idle_client: TestClient) -> None:
    names = "Euler|Euler a|Heun|DPM2|DPM++ 2S a|DPM++ 2M|DPM++ 2M Karras|DPM++ SDE|DPM++ SDE Karras|DPM fast"
    names += "|DPM adaptive|LMS|LMS Karras|DDIM|PLMS|UniPC"
    more = ["DPM2 a", "DPM++ 2S", "DPM++ 2M SDE", "DEIS", "IPNDM", "DDPM", "LCM"]
    assert idle_client.get("/sampling_methods").json() == {
        "status": "success",
        "sampling_methods": names.split("|") + more,
        "scheduler_types": ["default", "karras", "exponential", "ddim", "pndm"],
    }


@pytest.mark.parametrize("content", ["{", "[]", '{"name": 5}'])
def test_a_broken_label_file_is_said_and_does_no_other_harm(
    settings: Settings, tmp_path: Path, content: str
) -> None:
    labels = tmp_path / "labels.json"
    labels.write_text(content)
    app = create_app(settings.model_copy(update={"workers": 0, "model_labels": labels}))
    with TestClient(app) as client:
        answer = client.get("/models")
        assert answer.status_code == 500
        assert "labels.json" in answer.json()["error"]
        assert client.get("/loras").status_code == 200


def test_the_operators_own_labels_are_used(settings: Settings, tmp_path: Path) -> None:
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"my-own": "Mein Modell"}))
    install_model(tmp_path, "my-own")
    with TestClient(create_app(settings.model_copy(update={"model_labels": labels}))) as client:
        job = client.post("/txt2img", json={"prompt": "x", "model": "mein modell", "steps": 1}).json()
        answer = client.get(f"/queue/{job['job_id']}", params={"wait": 30}).json()
    assert answer["payload"]["model"] == "mein modell"
