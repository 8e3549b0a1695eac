"""The engine's benchmark runs on any device, here with a miniature, and counts arithmetic as published."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import UNet2DConditionModel

from benchmarks import engine, previews, roofline
from diffusionapi.weights import folders
from diffusionapi.weights.families import CONFIGS

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")
OF_DIFFUSERS = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
"""What its scheduler says with numpy 2."""


def figures(folder: Path, model: Path, *more: str) -> dict[str, float]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", default=str(folder))
    engine.add_options(parser)
    arguments = ["--model", str(model), "--size", "64", "--steps", "3", "--rounds", "1", *more]
    found = engine.run(parser.parse_args(arguments))
    return {one.name.strip(): one.value for one in found}


@OF_DIFFUSERS
@pytest.mark.parametrize("model", ["sd1_folder", "sdxl_folder"])
def test_it_measures_pictures_alone_and_different_ones_at_once(
    model: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    options = ("--device", "cpu", "--precision", "fp32", "--together", "3")
    found = figures(tmp_path, request.getfixturevalue(model), *options)
    assert found["a picture alone"] > 0
    assert found["the same by diffusers' pipeline"] > 0
    assert found["pictures per second, 3 different ones at once"] > 0
    assert found["a network call for 3 pictures"] > found["one evaluation of the UNet, counted"] / 1e6
    assert 0 < found["its share of the product's speed"] < 150


@pytest.mark.parametrize("mode", ["model", "sequential"])
def test_it_measures_a_model_that_visits_the_device(mode: str, tmp_path: Path, sd1_folder: Path) -> None:
    found = figures(tmp_path, sd1_folder, "--device", "cpu", "--offload", mode)
    assert found["a picture alone"] > 0
    assert "the same by diffusers' pipeline" not in found


def test_pictures_at_once_differ_in_everything_that_a_call_allows() -> None:
    options = argparse.Namespace(size=64, steps=8)
    requests = [engine._different(options, number) for number in range(32)]  # noqa: SLF001
    assert len({one.seed for one in requests}) == len({one.prompt for one in requests}) == 32
    assert len({one.sampler for one in requests}) == 7
    assert {one.steps for one in requests} == {6, 7, 8, 9, 10}
    assert sum(one.steps for one in requests[:8]) == 8 * 8


@pytest.mark.parametrize(
    ("published", "family", "size", "gflop"),
    [("sd1", "sd1", 512, 803), ("sdxl", "sdxl", 1024, 6761), ("refiner", "refiner", 512, None)],
)
def test_the_arithmetic_of_the_published_networks(
    published: str, family: str, size: int, gflop: float | None
) -> None:
    config = folders.read_config(CONFIGS / published / "unet" / "config.json")
    with init_empty_weights():
        unet: Any = UNet2DConditionModel.from_config(config)
    model: Any = SimpleNamespace(unet=unet, unet_in_channels=4, family=family)
    counted = roofline.evaluation(model, size) / 1e9
    assert counted == pytest.approx(gflop, rel=0.01) if gflop else counted > 0


@OF_DIFFUSERS
@pytest.mark.gpu
def test_it_runs_on_a_gpu(tmp_path: Path, sd1_folder: Path) -> None:
    found = figures(tmp_path, sd1_folder, "--device", "cuda")
    assert found["pictures per second, 8 different ones at once"] > 0
    assert found["pictures per second, 32 different ones at once"] > 0
    assert roofline.product(torch.device("cuda"), torch.bfloat16) > roofline.product(CPU, torch.float32)


@pytest.mark.parametrize("batch", [1, 2])
def test_it_measures_what_previews_cost(batch: int, tmp_path: Path, sd1_folder: Path) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", default=str(tmp_path))
    previews.add_options(parser)
    arguments = ["--model", str(sd1_folder), "--size", "64", "--steps", "8", "--rounds", "1"]
    arguments += ["--device", "cpu", "--precision", "fp32", "--batch", str(batch), "--threads", "1"]
    found = {one.name.strip(): one.value for one in previews.run(parser.parse_args(arguments))}
    assert found["the latter to the former"] > 0.1
    assert found["previews of it"] >= 1
