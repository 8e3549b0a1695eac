"""Models by their ids, and what goes with them: schedulers, LoRAs, textual inversions, VAEs, trainings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.v3.house import NO_MODEL, PICTURE, House

if TYPE_CHECKING:
    from diffusionapi.core.request import GenerationRequest

V4 = "/api/v4/dreambooth"


def asked(idle: House, path: str = V4, /, **body: object) -> GenerationRequest:
    return idle.asked(path, **{"model_id": "mini", "enhance_prompt": "no"} | body)


@pytest.mark.parametrize("version", ["v3", "v4"])
@pytest.mark.parametrize("kind", ["", "/img2img", "/inpaint"])
def test_every_route_needs_a_model(idle: House, version: str, kind: str) -> None:
    path, pictures = f"/api/{version}/dreambooth{kind}", {"init_image": PICTURE, "mask_image": PICTURE}
    assert idle.make(path, **pictures) == NO_MODEL
    request = asked(idle, path, **pictures)
    assert request.model == "mini"
    assert (request.source is not None) == bool(kind)


def test_a_refiner_is_no_model_to_paint_with(idle: House) -> None:
    assert list(idle.wrong(V4, model_id="finisher")) == ["model_id"]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("lora_model", "Lora model not found: none-such"),
        ("embeddings_model", "Embeddings model not found: none-such"),
        ("vae", "Vae model not found: none-such"),
    ],
)
def test_an_unknown_name_is_told(idle: House, field: str, message: str) -> None:
    answer = idle.make(V4, **{"model_id": "mini", field: "none-such"})
    assert (answer["status"], answer["message"]) == ("error", message)


@pytest.mark.parametrize(("field", "value"), [("lora_model", "largelora"), ("vae", "sdxl-vae")])
def test_what_was_made_for_another_kind_of_model_is_told(idle: House, field: str, value: str) -> None:
    assert list(idle.wrong(V4, **{"model_id": "mini", field: value})) == [field]


def test_a_vae(idle: House) -> None:
    assert asked(idle, vae="sd-vae-ft-mse").vae == "sd-vae-ft-mse"
    assert asked(idle, vae="none").vae is None


# --- textual inversions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "negative", "found"),
    [
        ("a lighthouse", "", "a lighthouse, midnight, easynegative"),
        ("a (Midnight:1.2) lighthouse", "", "a (Midnight:1.2) lighthouse, easynegative"),
        ("a lighthouse", "midnight, EasyNegative", "a lighthouse"),
        ("a midnightish lighthouse,", "easynegative", "a midnightish lighthouse, midnight"),
    ],
)
def test_those_that_no_prompt_names_are_added(idle: House, prompt: str, negative: str, found: str) -> None:
    request = asked(idle, prompt=prompt, negative_prompt=negative, embeddings_model="midnight,easynegative")
    assert (request.prompt, request.negative_prompt) == (found, negative)


# --- trainings --------------------------------------------------------------------------------------------


def test_a_training_stands_for_its_model_its_lora_and_its_words(idle: House) -> None:
    answer = idle.make(V4, model_id="F5jvdzGnYi", lora_model="ink", enhance_prompt="no")
    request = idle.ticket(answer).generation
    assert request.model == "mini"
    assert [(one.name, one.scale) for one in request.loras] == [("F5jvdzGnYi", 1.0), ("ink", 1.0)]
    assert request.prompt == answer["meta"]["prompt"] == "photo of sks dog, a lighthouse"
    assert answer["meta"]["model_id"] == "F5jvdzGnYi"


def test_its_words_are_not_said_twice(idle: House) -> None:
    prompt = "a Photo of sks dog on a beach"
    assert asked(idle, model_id="F5jvdzGnYi", prompt=prompt).prompt == prompt


def test_it_is_a_lora_as_well(idle: House) -> None:
    assert asked(idle, lora_model="F5jvdzGnYi", lora_strength="0.5").loras[0].scale == 0.5


def test_a_training_whose_model_is_gone(idle: House) -> None:
    answer = idle.make(V4, model_id="orphan0000")
    assert answer == NO_MODEL | {"tip": "it was trained on 'gone', which is not installed any more"}


def test_a_lora_that_was_not_trained_here_is_no_model(idle: House) -> None:
    assert idle.make(V4, model_id="ink")["message"] == "Model id not found"


# --- schedulers -------------------------------------------------------------------------------------------


def test_the_names_of_schedulers(idle: House) -> None:
    request = asked(idle, scheduler="EulerDiscreteScheduler")
    assert (request.sampler, request.schedule) == ("Euler", "karras")
    request = asked(idle, scheduler="EulerDiscreteScheduler", use_karras_sigmas="no")
    assert (request.sampler, request.schedule) == ("Euler", "default")
    request = asked(idle, scheduler="DPMSolverMultistepScheduler", algorithm_type="dpmsolver+++")
    assert request.sampler == "DPM++ 2M SDE"
    request = asked(idle, scheduler="DPMSolverMultistepScheduler", algorithm_type="none")
    assert request.sampler == "DPM++ 2M"


@pytest.mark.parametrize("name", ["DDIMInverseScheduler", "KarrasVeScheduler", "ScoreSdeVeScheduler"])
def test_what_paints_nothing_from_noise_is_replaced_and_that_is_told(house: House, name: str) -> None:
    answer = house.make(V4, model_id="fake", scheduler=name)
    assert answer["status"] == "success"
    assert answer["meta"]["scheduler"] == "UniPCMultistepScheduler"
    assert name in answer["tip"]


def test_too_few_steps_for_the_usual_scheduler(idle: House) -> None:
    answer = idle.make(V4, model_id="mini", num_inference_steps=1)
    assert idle.ticket(answer).generation.sampler == "Euler"
    assert answer["meta"]["scheduler"] == "EulerDiscreteScheduler"


def test_what_is_replaced_twice_is_told_from_its_name_on(idle: House) -> None:
    answer = idle.make(V4, model_id="mini", scheduler="KarrasVeScheduler", num_inference_steps=1)
    (notice,) = idle.ticket(answer).notices
    assert notice.startswith("KarrasVeScheduler makes no pictures")
    assert notice.endswith("EulerDiscreteScheduler was used")


def test_an_unknown_scheduler(idle: House) -> None:
    assert list(idle.wrong(V4, model_id="mini", scheduler="EulerScheduler")) == ["scheduler"]


# --- what becomes of a picture that is not shown ----------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "blanking"),
    [
        (None, "text"),
        ("sensitive_content_text", "text"),
        ("blur", "blurred"),
        ("pixelate", "pixelated"),
        ("black", "black"),
    ],
)
def test_kinds_of_blanks(idle: House, kind: str | None, blanking: str) -> None:
    assert asked(idle, safety_checker_type=kind).blanking == blanking


# --- the answer -------------------------------------------------------------------------------------------


def test_the_meta(idle: House) -> None:
    meta = idle.make(
        V4,
        model_id="mini",
        lora_model="ink,wool",
        lora_strength="0.45,0.55",
        embeddings_model="midnight",
        upscale="yes",
        clip_skip="2",
        seed="1",
        enhance_prompt="no",
    )["meta"]
    assert meta.pop("file_prefix")
    assert meta == {
        "prompt": "a lighthouse, midnight",
        "model_id": "mini",
        "negative_prompt": "",
        "scheduler": "UniPCMultistepScheduler",
        "safetychecker": "yes",
        "safety_checker": "yes",
        "W": 64,
        "H": 64,
        "guidance_scale": 7.5,
        "seed": 1,
        "steps": 20,
        "n_samples": 1,
        "full_url": "no",
        "upscale": "2",
        "multi_lingual": "no",
        "panorama": "no",
        "self_attention": "no",
        "embeddings": "midnight",
        "lora": "ink,wool",
        "outdir": "out",
        "tomesd": "yes",
        "use_karras_sigmas": "yes",
        "vae": None,
        "lora_strength": "0.45,0.55",
        "clip_skip": 2,
        "temp": "no",
        "base64": "no",
    }


def test_the_meta_of_pictures_from_pictures(idle: House) -> None:
    words = idle.make(V4, model_id="mini")["meta"]
    masked = idle.make(
        f"{V4}/inpaint", model_id="mini", init_image=PICTURE, mask_image=PICTURE, strength=0.5
    )["meta"]
    assert set(masked) - set(words) == {"init_image", "mask_image", "strength"}
    assert masked["strength"] == 0.5
