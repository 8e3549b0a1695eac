"""The safety checker, where one is installed: what it objects to comes out black, and the record says so."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from safetensors.torch import load_file
from transformers import CLIPConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from diffusionapi.core.events import Failed
from diffusionapi.engine import safety
from diffusionapi.engine.blanking import NOTICES, blanked
from diffusionapi.engine.engine import Rendered
from tests import miniatures
from tests.engine.rendering import a_photo, make_engine, make_house, picture, run
from tests.factories import a_request

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from diffusionapi.core.request import Blanking
    from diffusionapi.engine.engine import EngineEvent
    from diffusionapi.settings import Settings

CPU = torch.device("cpu")


@pytest.fixture
def house(tmp_path: Path, sd1_folder: Path) -> Settings:
    return make_house(tmp_path, {"mini": sd1_folder})


def shared(house: Settings) -> Path:
    return house.path(house.safety_checker_dir)


def rendered(house: Settings, **fields: Any) -> list[EngineEvent]:
    return run(make_engine(house), it=a_request(model="mini", **fields))["it"]


def told(events: list[EngineEvent]) -> tuple[bool, bool, tuple[str, ...]]:
    assert isinstance(events[-1], Rendered), events[-1]
    how = events[-1].sampled
    assert how is not None
    return how.checked, how.flagged, how.notices


def test_what_it_objects_to_is_black_and_the_record_says_so(house: Settings) -> None:
    miniatures.make_safety_checker(shared(house), threshold=-2)
    events = rendered(house, safety="available")
    assert picture(events).getextrema() == ((0, 0),) * 3
    checked, flagged, notices = told(events)
    assert checked
    assert flagged
    assert "black" in notices[-1]


@pytest.mark.parametrize("how", ["blurred", "pixelated", "text"])
def test_it_is_replaced_in_the_way_that_is_asked_for(house: Settings, how: Blanking) -> None:
    drawn = picture(rendered(house))
    miniatures.make_safety_checker(shared(house), threshold=-2)
    events = rendered(house, safety="available", blanking=how)
    assert picture(events).tobytes() == blanked(drawn, how).tobytes()
    assert told(events)[2][-1] == NOTICES[how]


def test_what_it_has_nothing_against_stays_as_it_is(house: Settings) -> None:
    unchecked = rendered(house)
    miniatures.make_safety_checker(shared(house), threshold=2)
    for wanted in ("available", "required"):
        events = rendered(house, safety=wanted)
        assert picture(events).tobytes() == picture(unchecked).tobytes()
        assert told(events) == (True, False, ())
    assert told(unchecked) == (False, False, ())


def test_it_is_not_asked_when_it_is_not_wanted(house: Settings) -> None:
    miniatures.make_safety_checker(shared(house), threshold=-2)
    assert told(rendered(house, safety="off")) == (False, False, ())


def test_without_one_nothing_is_checked_unless_that_is_required(house: Settings) -> None:
    assert told(rendered(house, safety="available")) == (False, False, ())
    failed = rendered(house, safety="required")[-1]
    assert isinstance(failed, Failed)
    assert "no safety checker is installed" in failed.failure.sentence


def test_a_model_with_its_own_is_checked_by_that(tmp_path: Path, sd1_folder: Path) -> None:
    folder = tmp_path / "with-checker"
    shutil.copytree(sd1_folder, folder)
    miniatures.make_safety_checker(folder / "safety_checker", threshold=-2)
    house = make_house(tmp_path / "house", {"mini": folder})
    miniatures.make_safety_checker(shared(house), threshold=2)
    assert told(rendered(house, safety="required"))[1]


def test_it_judges_as_diffusers_judges(tmp_path: Path) -> None:
    """At thresholds around what it says, both change their mind between the same pictures."""
    judged = []
    for number, threshold in enumerate((0.1, 0.3, 0.5)):
        folder = miniatures.make_safety_checker(tmp_path / str(number), threshold=threshold)
        theirs = StableDiffusionSafetyChecker(CLIPConfig.from_pretrained(folder)).eval()
        ours = safety.load(folder, CPU, pickles=False)
        theirs.load_state_dict(ours.network.state_dict())
        processor = CLIPImageProcessorPil.from_pretrained(folder)
        for seed in range(4):
            photo = a_photo(90, 60, seed)
            seen = processor(images=photo, return_tensors="pt").pixel_values
            _, objections = theirs(clip_input=seen, images=np.zeros((1, 60, 90, 3)))
            assert ours.objects_to(photo) == bool(objections[0])
            judged.append(bool(objections[0]))
    assert len(set(judged)) == 2


def test_it_judges_as_the_pipeline_does_that_it_came_with(tmp_path: Path, sd1_folder: Path) -> None:
    """A whole pipeline as diffusers saves it: its own layout, weights and sizes for the checker's eyes."""
    pipeline = StableDiffusionPipeline.from_pretrained(
        sd1_folder,
        safety_checker=a_checker(concepts=0.35, special_care=0.3),
        feature_extractor=CLIPImageProcessorPil(size={"shortest_edge": 40}, crop_size=32),
    )
    pipeline.save_pretrained(tmp_path / "whole")
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "whole")

    def theirs(photo: Image.Image) -> bool:
        pixels = pipeline.image_processor.preprocess(photo)
        _, objections = pipeline.run_safety_checker(pixels, CPU, torch.float32)
        return bool(objections[0])

    ours = safety.load(tmp_path / "whole" / "safety_checker", CPU, pickles=False)
    judged = [
        (ours.objects_to(photo), theirs(photo)) for photo in (a_photo(90, 60, seed) for seed in range(12))
    ]
    assert set(judged) == {(True, True), (False, False)}

    house = make_house(tmp_path / "house", {"mini": tmp_path / "whole"})
    drawn = picture(rendered(house))
    assert told(rendered(house, safety="required"))[:2] == (True, theirs(drawn))


def a_checker(*, concepts: float, special_care: float) -> StableDiffusionSafetyChecker:
    """With random weights, and these thresholds."""
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}
    config = CLIPConfig(vision_config=vision | {"image_size": 32, "patch_size": 8}, projection_dim=16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        checker = StableDiffusionSafetyChecker(config).eval()
        for embeddings in (checker.concept_embeds, checker.special_care_embeds):
            embeddings.data.normal_()
    checker.concept_embeds_weights.data.fill_(concepts)
    checker.special_care_embeds_weights.data.fill_(special_care)
    return checker


def test_the_weights_of_published_files_are_all_read(tmp_path: Path) -> None:
    folder = miniatures.make_safety_checker(tmp_path / "checker", threshold=0.25)
    network = safety.load(folder, CPU, pickles=False).network
    files = load_file(folder / "model.safetensors")
    state = network.state_dict()
    assert len(state) == len(files)
    for name, one in files.items():
        assert torch.equal(state[name.replace("vision_model.vision_model.", "vision_model.", 1)], one)
