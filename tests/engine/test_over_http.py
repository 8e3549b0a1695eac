"""The real engine behind a real server: miniature models, pictures over HTTP."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tests.server import WEB, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def studio(
    tmp_path_factory: pytest.TempPathFactory, sd1_folder: Path, sdxl_folder: Path, refiner_folder: Path
) -> Iterator[Server]:
    """A server that finds three models and so takes the real engine by itself."""
    root = tmp_path_factory.mktemp("studio")
    models = root / "stable_diffusion" / "models"
    models.mkdir(parents=True)
    for name, folder in (
        ("models--org--mini-sd1", sd1_folder),
        ("mini-sdxl", sdxl_folder),
        ("mini-refiner", refiner_folder),
    ):
        (models / name).symlink_to(folder)
    with Server(root, device="cpu", precision="fp32", max_batch=4, default_model="mini-sd1") as server:
        yield server


SMALL: dict[str, Any] = {"width": 64, "height": 64, "steps": 4, "seed": 5, "fileType": "png"}


def made(server: Server, **fields: Any) -> tuple[Image.Image, dict[str, Any]]:
    answer = server.result(server.submit(**SMALL | fields))
    assert answer["state"] == "done", answer
    return Image.open(io.BytesIO(base64.b64decode(answer["image"]))), answer


def test_a_model_renders_and_its_picture_says_how(studio: Server) -> None:
    picture, answer = made(
        studio, model="org/mini-sd1", prompt="a fox (in the snow:1.3)", sampler_name="Euler a"
    )
    assert picture.size == (64, 64)
    assert "Sampler: Euler a, Schedule type: Karras" in picture.info["parameters"]
    assert "Model: models--org--mini-sd1" in picture.info["parameters"]
    assert answer["memory_after_mb"] > 100


def test_the_same_seed_gives_the_same_picture_and_another_another(studio: Server) -> None:
    first, again, other = (made(studio, seed=seed)[0].tobytes() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_sampler_gives_a_picture_of_its_own(studio: Server) -> None:
    names = studio.get("/sampling_methods").json()["sampling_methods"]
    jobs = {
        name: studio.submit(**SMALL | {"sampler_name": name, "scheduler_type": "default"}) for name in names
    }
    pictures = {}
    for name, job_id in jobs.items():
        answer = studio.result(job_id)
        assert answer["state"] == "done", (name, answer["error"])
        pictures[name] = answer["image"]
    assert len(set(pictures.values())) == len(names)


def test_sdxl_with_a_refiner_and_hires_shows_both_phases(studio: Server) -> None:
    picture, _ = made(
        studio,
        model="mini-sdxl",
        refiner_checkpoint="mini-refiner",
        refiner_switch_at=0.5,
        hires={"enabled": True, "scale": 1.5, "upscaler": "Lanczos", "steps": 3},
    )
    assert picture.size == (96, 96)
    assert "Refiner: mini-refiner" in picture.info["parameters"]


def test_a_refiner_for_another_family_is_refused_with_a_sentence(studio: Server) -> None:
    body = SMALL | {"prompt": "a lighthouse", "refiner_checkpoint": "mini-refiner"}
    answer = WEB.post(f"{studio.url}/txt2img", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("refiner_checkpoint: a refiner goes with SDXL models only")


def test_clip_skip_changes_the_picture_and_is_written_into_it(studio: Server) -> None:
    plain, _ = made(studio)
    skipped, _ = made(studio, clip_skip=2)
    assert plain.tobytes() != skipped.tobytes()
    assert "Clip skip: 2" in skipped.info["parameters"]
