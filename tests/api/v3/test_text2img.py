"""Pictures from words: the table of the request, row by row, and the answer."""

from __future__ import annotations

import base64
import itertools
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from diffusionapi.api.v3.state import NUMBERS, new_number, new_prefix
from diffusionapi.core.request import GenerationRequest, Hires, Lora, Upscale
from diffusionapi.main import create_app
from tests.api.v3.house import House, opened, v3_settings

if TYPE_CHECKING:
    from pathlib import Path

# --- what the core is asked for ---------------------------------------------------------------------------


def test_defaults(idle: House) -> None:
    answer = idle.ask("/api/v3/text2img", prompt="a lighthouse")
    asked = idle.ticket(answer).generation
    assert asked == GenerationRequest(
        prompt="a lighthouse, highly detailed, sharp focus, balanced composition, fine texture, "
        "soft natural light",
        negative_prompt="blurry, low quality, jpeg artefacts, watermark, signature, text, cropped, deformed, "
        "bad anatomy, extra limbs, extra fingers",
        model="fake",
        width=512,
        height=512,
        steps=20,
        guidance=7.5,
        sampler="UniPC",
        schedule="own",
        seed=asked.seed,
        file_type="png",
        quality=85,
        clip_skip=None,
        loras=(),
        hires=None,
        refiner=None,
        safety="available",
        blanking="black",
    )
    assert 0 <= asked.seed < 2**32


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("negative_prompt", "people", {"negative_prompt": "people"}),
        ("width", "520", {"width": 520}),
        ("height", 1023, {"height": 1016}),
        ("num_inference_steps", "51", {"steps": 51}),
        ("steps", 7, {"steps": 7}),
        ("seed", "0", {"seed": 0}),
        ("guidance_scale", "12.5", {"guidance": 12.5}),
        ("safety_checker", "no", {"safety": "off"}),
        ("clip_skip", "2", {"clip_skip": 2}),
        ("panorama", "yes", {"tiling": "horizontal"}),
        ("self_attention", "yes", {"self_attention": 0.75}),
        ("upscale", "yes", {"upscale": Upscale("RealESRGAN_x4plus", 2, faces=False)}),
        ("upscale", 3, {"upscale": Upscale("RealESRGAN_x4plus", 3, faces=False)}),
        ("upscale", "1", {"upscale": None}),
        ("highres_fix", "yes", {"hires": Hires(1.5, "RealESRGAN_x4plus", 20, 0.5)}),
        ("model_id", "mini", {"model": "mini"}),
        ("tomesd", "yes", {}),
        ("temp", "yes", {}),
        ("lora_model", "no", {"loras": ()}),
    ],
)
def test_each_field_says_something(idle: House, field: str, value: object, found: dict[str, Any]) -> None:
    body = {"enhance_prompt": "no", "model_id": "fake", field: value}
    asked = idle.asked(**body)
    assert {name: getattr(asked, name) for name in found} == found


def test_words_are_added_once(idle: House) -> None:
    asked = idle.asked(prompt="a lighthouse, Sharp Focus,", negative_prompt="blurry, people")
    assert asked.prompt.lower().count("sharp focus") == 1
    assert asked.prompt.startswith("a lighthouse, Sharp Focus, highly detailed")
    assert asked.negative_prompt.startswith("blurry, people, low quality")


def test_samples_have_the_next_seeds_each(idle: House) -> None:
    answer = idle.make(samples="3", seed=2**32 - 2)
    assert [idle.ticket(answer, place).generation.seed for place in range(3)] == [2**32 - 2, 2**32 - 1, 0]


def test_a_smaller_limit_of_the_server_holds(tmp_path: Path) -> None:
    settings = v3_settings(tmp_path, workers=0, v3_wait=0.0, max_side=512)
    with TestClient(create_app(settings)) as client:
        assert list(House(client).wrong(width=520)) == ["width"]


@pytest.mark.parametrize(("policy", "asked", "found"), [("available", "no", "available")])
def test_the_operator_decides_what_is_checked(tmp_path: Path, policy: str, asked: str, found: str) -> None:
    settings = v3_settings(tmp_path, workers=0, v3_wait=0.0, safety=policy)
    with TestClient(create_app(settings)) as client:
        house = House(client)
        answer = house.make(safety_checker=asked)
        assert house.ticket(answer).generation.safety == found
        assert answer["meta"]["safetychecker"] == "yes"


def test_where_a_checker_is_required_and_there_is_none(tmp_path: Path) -> None:
    settings = v3_settings(tmp_path, workers=0, v3_wait=0.0, safety="required")
    with TestClient(create_app(settings)) as client:
        assert list(House(client).wrong()) == ["safety_checker"]


def test_whoever_asks_for_a_check_is_told_that_nothing_checks(house: House) -> None:
    answer = house.make(safety_checker="yes")
    assert answer["tip"] == "No safety checker is installed, so nothing looked at the pictures"
    assert house.ask(f"/api/v3/fetch/{answer['id']}")["tip"] == answer["tip"]
    assert "tip" not in house.make()
    assert "tip" not in house.make(safety_checker="no")


def test_a_language_that_nothing_translates(idle: House) -> None:
    (sentence,) = idle.wrong(multi_lingual="yes", prompt="ein Leuchtturm auf einer Klippe am Abend")["prompt"]
    assert "German" in sentence
    assert idle.asked(multi_lingual="yes", prompt="a lighthouse on a cliff in the evening").translate


def test_a_negative_prompt_that_nothing_translates_is_named(idle: House) -> None:
    words = {"prompt": "a lighthouse", "negative_prompt": "ein Leuchtturm auf einer Klippe"}
    assert list(idle.wrong(multi_lingual="yes", **words)) == ["negative_prompt"]
    assert list(idle.wrong(multi_lingual="yes", prompt="un chat noir")) == ["prompt"]


def test_what_may_be_in_another_language_is_painted_as_it_stands_and_told(house: House) -> None:
    answer = house.make(multi_lingual="yes", prompt="statek piracki, masterpiece")
    assert answer["tip"] == "Taken for English, though it may be in another language: 'statek piracki'"
    assert "tip" not in house.make(multi_lingual="yes", prompt="a dog, masterpiece")
    assert "tip" not in house.make(prompt="statek piracki")


# --- success ----------------------------------------------------------------------------------------------


def test_the_answer(house: House) -> None:
    answer = house.make(samples="2", seed="123", guidance_scale="8", num_inference_steps="5")
    assert list(answer) == ["status", "generationTime", "id", "output", "nsfw_content_detected", "meta"]
    assert answer["status"] == "success"
    assert isinstance(answer["generationTime"], float)
    assert isinstance(answer["id"], int)
    assert 0 < answer["id"] < 2**31
    assert answer["nsfw_content_detected"] is False
    meta = answer["meta"]
    prefix = f"http://testserver/generations/{meta['file_prefix']}"
    assert answer["output"] == [f"{prefix}-0.png", f"{prefix}-1.png"]
    first, second = (house.picture(url) for url in answer["output"])
    assert first.size == (64, 64)
    assert first.tobytes() != second.tobytes()


def test_the_meta(house: House) -> None:
    answer = house.make(seed="123", num_inference_steps="5", negative_prompt="people", enhance_prompt="no")
    meta = answer["meta"]
    uuid.UUID(meta.pop("file_prefix"))
    assert meta == {
        "H": 64,
        "W": 64,
        "enable_attention_slicing": "true",
        "guidance_scale": 7.5,
        "model": "fake",
        "n_samples": 1,
        "negative_prompt": "people",
        "outdir": "out",
        "prompt": "a lighthouse",
        "revision": "fp16",
        "safetychecker": "yes",
        "safety_checker": "yes",
        "seed": 123,
        "steps": 5,
        "vae": "",
    }


def test_the_meta_has_the_prompts_with_what_was_added(house: House) -> None:
    meta = house.make()["meta"]
    assert meta["prompt"].startswith("a lighthouse, highly detailed")
    assert meta["negative_prompt"].startswith("blurry")


def test_the_seed_of_the_meta_gives_the_picture_again(house: House) -> None:
    first = house.make()
    again = house.make(seed=first["meta"]["seed"])
    assert house.picture(first["output"][0]).tobytes() == house.picture(again["output"][0]).tobytes()


def test_pictures_as_base64(house: House) -> None:
    answer = house.make(base64="yes")
    (picture,) = answer["output"]
    assert opened(base64.b64decode(picture, validate=True)).size == (64, 64)
    assert house.ask(f"/api/v3/fetch/{answer['id']}")["output"] == answer["output"]


@pytest.mark.parametrize("way", ["upscale", "highres_fix"])
def test_what_is_larger_in_the_end(house: House, way: str) -> None:
    answer = house.make(**{way: "yes"})
    assert house.picture(answer["output"][0]).size == ((128, 128) if way == "upscale" else (96, 96))


def test_a_picture_that_the_checker_objects_to_is_black(tmp_path: Path) -> None:
    checker = tmp_path / "stable_diffusion" / "safety_checker"
    checker.mkdir(parents=True)
    (checker / "config.json").write_text("{}")
    (checker / "model.safetensors").write_bytes(b"")
    with TestClient(create_app(v3_settings(tmp_path))) as client:
        house = House(client)
        flagged, shown = house.make(prompt="#unsafe"), house.make(prompt="#unsafe", safety_checker="no")
        assert flagged["nsfw_content_detected"] is True
        assert shown["nsfw_content_detected"] is False
        assert house.picture(flagged["output"][0]).getcolors() == [(64 * 64, (0, 0, 0))]
        assert len(house.picture(shown["output"][0]).getcolors(10_000) or ()) > 1


def test_links_begin_with_what_the_operator_says(tmp_path: Path) -> None:
    settings = v3_settings(tmp_path, workers=0, v3_wait=0.0, base_url="https://pictures.example.com")
    with TestClient(create_app(settings)) as client:
        answer = House(client).make()
        assert answer["fetch_result"] == f"https://pictures.example.com/api/v3/fetch/{answer['id']}"
        assert answer["future_links"][0].startswith("https://pictures.example.com/generations/")


# --- the numbers ------------------------------------------------------------------------------------------


def test_a_number_that_is_taken_is_not_given_again(idle: House, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = idle.make()["id"]
    numbers = itertools.chain([taken, taken], iter(new_number, None))
    monkeypatch.setattr("diffusionapi.api.v3.submit.new_number", lambda: next(numbers))
    assert idle.make()["id"] != taken


def test_the_number_is_in_the_prefix_and_the_rest_is_not_to_be_guessed() -> None:
    prefixes = [new_prefix(7) for _ in range(100)]
    assert len(set(prefixes)) == 100
    assert {one[-8:] for one in prefixes} == {"00000007"}
    assert all(0 < new_number() < NUMBERS for _ in range(100))


def test_loras_act_as_strongly_as_they_are_told(idle: House) -> None:
    def loras(**body: object) -> list[tuple[str, float]]:
        return [(one.name, one.scale) for one in idle.asked(model_id="mini", **body).loras]

    assert loras(lora_model="ink, wool", lora_strength="0.45,0.55") == [("ink", 0.45), ("wool", 0.55)]
    assert loras(lora_model="ink,wool", lora_strength=0.3) == [("ink", 0.3), ("wool", 0.3)]
    assert loras(lora_model=["ink", "wool"], lora_strength=["0.3"]) == [("ink", 0.3), ("wool", 0.3)]
    assert loras(lora_model="INK") == loras(lora_model="INK", lora_strength="no") == [("ink", 1.0)]
    assert loras(lora_model="none") == []
    assert Lora("ink", 0.3, 0.3) in idle.asked(model_id="mini", lora_model="ink", lora_strength="0.3").loras
