from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from diffusionapi.core.events import Failed, Phase, Step
from diffusionapi.engine.engine import Taught
from diffusionapi.engine.fake.engine import FakeEngine
from diffusionapi.weights import lora_kind, trained
from diffusionapi.weights.lora_file import short_hash
from tests.engine.fake.acting import put, run
from tests.factories import a_training
from tests.stubs import a_model

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.engine.engine import EngineEvent
    from diffusionapi.engine.fake.props import Props
    from diffusionapi.settings import Settings
    from diffusionapi.weights.families import Family


@pytest.fixture
def photo(props: Props) -> str:
    return put(props.uploads, Image.new("RGB", (64, 64), "red"))


def taught(events: list[EngineEvent]) -> Taught:
    last = events[-1]
    assert isinstance(last, Taught), last
    return last


def steps_of(events: list[EngineEvent]) -> list[Step]:
    return [event for event in events if isinstance(event, Step)]


def test_the_loss_falls_and_the_steps_count_up_to_the_whole(props: Props, photo: str) -> None:
    events = run(a_training(pictures=(photo,), steps=60), props)
    steps = steps_of(events)
    assert [(one.step, one.steps) for one in steps] == [(n, 60) for n in range(1, 61)]
    assert [one.fraction for one in steps] == sorted(one.fraction for one in steps)
    assert steps[-1].fraction == 1.0
    losses = [one.loss for one in steps if one.loss is not None]
    assert len(losses) == 60
    assert sum(losses[-10:]) < sum(losses[:10]) / 2
    assert taught(events).loss == pytest.approx(sum(losses[-6:]) / 6)
    assert taught(events).steps == 60
    assert [event.name for event in events if isinstance(event, Phase)] == ["loading", "training", "saving"]


def test_what_it_is_to_go_on_painting_is_painted_first(props: Props, photo: str) -> None:
    events = run(a_training(pictures=(photo,), steps=4, class_prompt="a dog", class_pictures=2), props)
    assert [event.name for event in events if isinstance(event, Phase)][1:3] == ["preparing", "training"]
    assert [(one.step, one.steps) for one in steps_of(events)[:3]] == [(1, 2), (2, 2), (1, 4)]
    fractions = [one.fraction for one in steps_of(events)]
    assert fractions == pytest.approx([n / 6 for n in range(1, 7)])


def test_a_training_goes_on_where_it_was_and_gives_the_same_lora(
    props: Props, photo: str, tmp_path: Path
) -> None:
    request = a_training(pictures=(photo,), steps=8)
    with closing(FakeEngine(props, capacity=1, step_seconds=0)) as engine:
        engine.admit("a", request)
        while not any(isinstance(event, Step) and event.step == 5 for _, event in engine.step(0)):
            pass
    second = run(request, props)
    assert [one.step for one in steps_of(second)] == [6, 7, 8]
    third = written(taught(run(request, props)).content, tmp_path)
    said, short = trained.read(third), short_hash(third)
    again = written(taught(second).content, tmp_path)
    assert (trained.read(again), short_hash(again)) == (said, short)


def test_it_does_wrong_at_the_step_it_was_told(props: Props, photo: str) -> None:
    *before, last = run(a_training(pictures=(photo,), instance_prompt="a dog #fail@3"), props)
    assert len(steps_of(before)) == 2
    assert isinstance(last, Failed)


def test_a_picture_that_is_gone_ends_the_training(props: Props) -> None:
    assert isinstance(run(a_training(), props)[-1], Failed)


def written(content: bytes, folder: Path) -> Path:
    path = folder / "made.safetensors"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_its_lora_is_for_the_family_of_its_model(
    settings: Settings, props: Props, photo: str, tmp_path: Path, family: Family
) -> None:
    a_model(settings.path(settings.models_dir) / "mine", family)
    request = a_training(model="mine", pictures=(photo,), text_encoder_rate=1e-5, text_encoder_steps=5)
    path = written(taught(run(request, props)).content, tmp_path)
    assert lora_kind.inspect(path).families == (family,)


def test_a_refiner_is_not_taught(settings: Settings, props: Props, photo: str) -> None:
    a_model(settings.path(settings.models_dir) / "mine", "refiner")
    last = run(a_training(model="mine", pictures=(photo,)), props)[-1]
    assert isinstance(last, Failed)
    assert "refiner" in last.failure.sentence


def test_its_file_says_what_it_is(props: Props, photo: str, tmp_path: Path) -> None:
    said = trained.read(written(taught(run(a_training(pictures=(photo,)), props)).content, tmp_path))
    assert said is not None
    assert (said.model, said.instance_prompt) == ("fake", "a photo of sks dog")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "config"), [("sd1", "sd1"), ("sd2", "sd2-base"), ("sdxl", "sdxl")], ids=["sd1", "sd2", "sdxl"]
)
def test_the_layers_of_its_lora_fit_the_published_networks(
    settings: Settings, props: Props, photo: str, family: Family, config: str
) -> None:
    import torch
    from diffusers import UNet2DConditionModel
    from safetensors.torch import load

    from diffusionapi.weights.families import CONFIGS

    a_model(settings.path(settings.models_dir) / "mine", family)
    tensors = load(taught(run(a_training(model="mine", pictures=(photo,), rank=3), props)).content)
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(CONFIGS / config / "unet"))
    listening = unet.mid_block.attentions[0].transformer_blocks[0].attn2
    for part in ("to_k", "to_v"):
        (down,) = (one for name, one in tensors.items() if name.endswith(f"{part}.lora_down.weight"))
        (up,) = (one for name, one in tensors.items() if name.endswith(f"{part}.lora_up.weight"))
        assert (up @ down).shape == getattr(listening, part).weight.shape
