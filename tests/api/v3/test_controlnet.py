"""Pictures that are held to a picture: which ControlNets act, what they look at, and what is begun from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.v3.house import PICTURE, House, a_png, as_base64

if TYPE_CHECKING:
    from diffusionapi.core.request import Control, GenerationRequest

PATHS = ["/api/v5/controlnet", "/api/v4/controlnet", "/api/v3/controlnet"]
CONTROLNET = PATHS[0]
OTHER = as_base64(a_png(colour="maroon"))
CANNY = "control_v11p_sd15_canny"


def asked(idle: House, path: str = CONTROLNET, /, **body: object) -> GenerationRequest:
    usual = {"model_id": "mini", "controlnet_model": "canny", "init_image": PICTURE}
    return idle.asked(path, **usual | body)


def control(idle: House, **body: object) -> Control:
    (found,) = asked(idle, **body).controls
    return found


@pytest.mark.parametrize("path", PATHS)
def test_defaults(idle: House, path: str) -> None:
    request = asked(idle, path)
    (one,) = request.controls
    assert (one.net, one.hint, one.scale, one.start, one.end, one.guess) == (CANNY, "canny", 1.0, 0, 1, False)
    assert request.source is None
    assert one.upload in request.uploads


def test_it_is_chosen_by_what_it_looks_at_and_the_family_of_the_model(idle: House) -> None:
    assert control(idle, model_id="large").net == "diffusers_xl_canny_full"
    assert control(idle, controlnet_model="depth").net == "control_v11f1p_sd15_depth"
    (sentence,) = idle.wrong(CONTROLNET, model_id="mini", controlnet_model="openpose", init_image=PICTURE)[
        "controlnet_model"
    ]
    assert "diffusers_xl_openpose" in sentence


@pytest.mark.parametrize("name", ["lineart", "none-such"])
def test_one_that_is_not_there(idle: House, name: str) -> None:
    answer = idle.make(CONTROLNET, model_id="mini", controlnet_model=name, init_image=PICTURE)
    assert (answer["status"], answer["message"]) == ("error", f"Controlnet model not found: {name}")


def test_what_nothing_here_reads_from_pictures(idle: House) -> None:
    nets = {"model_id": "large", "controlnet_model": "openpose", "init_image": PICTURE}
    (sentence,) = idle.wrong(CONTROLNET, **nets)["auto_hint"]
    assert "body_pose_model.pth" in sentence
    assert control(idle, **nets, auto_hint="no").hint == "none"


def test_one_for_another_kind_of_model(idle: House) -> None:
    nets = {"model_id": "large", "controlnet_model": CANNY, "init_image": PICTURE}
    assert list(idle.wrong(CONTROLNET, **nets)) == ["controlnet_model"]


def test_by_the_name_of_a_file(idle: House) -> None:
    assert control(idle, controlnet_model=CANNY).hint == "canny"
    assert control(idle, controlnet_model="my-own-net").hint == "none"
    assert control(idle, controlnet_model="my-own-net", controlnet_type="depth").hint == "depth"
    wrong = idle.wrong(
        CONTROLNET,
        model_id="mini",
        controlnet_model="my-own-net",
        controlnet_type="x",
        init_image=PICTURE,
    )
    assert list(wrong) == ["controlnet_type"]


def test_several_have_one_picture_and_a_scale_each(idle: House) -> None:
    first, second = asked(
        idle, controlnet_model="canny,depth", controlnet_conditioning_scale="0.5,0.8"
    ).controls
    assert (first.hint, first.scale, second.hint, second.scale) == ("canny", 0.5, "depth", 0.8)
    assert first.upload == second.upload


def test_scales_have_bounds(idle: House) -> None:
    wrong = idle.wrong(
        CONTROLNET,
        model_id="mini",
        controlnet_model="canny",
        init_image=PICTURE,
        controlnet_conditioning_scale="0.5,6",
    )
    sentence = "The controlnet conditioning scale must be between 0.1 and 5."
    assert wrong == {"controlnet_conditioning_scale": [sentence]}


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({}, "canny"),
        ({"auto_hint": "no"}, "none"),
        ({"control_image": OTHER}, "none"),
        ({"control_image": OTHER, "auto_hint": "yes"}, "canny"),
        ({"controlnet_model": "qrcode"}, "none"),
    ],
)
def test_whether_what_is_looked_at_is_read_from_the_picture(
    idle: House, body: dict[str, object], hint: str
) -> None:
    assert control(idle, **body).hint == hint


@pytest.mark.parametrize(
    ("body", "strength"),
    [
        ({}, None),
        ({"strength": 0.3}, 0.3),
        ({"control_image": OTHER}, 0.55),
        ({"control_image": OTHER, "strength": 0.3}, 0.3),
        ({"mask_image": PICTURE}, 1.0),
        ({"control_image": OTHER, "init_image": None}, None),
    ],
)
def test_what_is_begun_from(idle: House, body: dict[str, object], strength: float | None) -> None:
    request = asked(idle, **body)
    assert (request.source.strength if request.source else None) == strength
    if request.source and "control_image" in body:
        assert request.controls[0].upload != request.source.upload


def test_into_a_part_of_a_picture(idle: House) -> None:
    request = asked(idle, controlnet_model="inpaint", mask_image=PICTURE)
    assert request.source is not None
    assert request.source.mask is not None
    (one,) = request.controls
    assert (one.net, one.hint, one.upload) == ("control_v11p_sd15_inpaint", "inpaint", request.source.upload)


@pytest.mark.parametrize(
    "pictures", [{}, {"mask_image": PICTURE}, {"mask_image": PICTURE, "control_image": PICTURE}]
)
def test_there_has_to_be_a_picture(idle: House, pictures: dict[str, str]) -> None:
    wrong = idle.wrong(CONTROLNET, model_id="mini", controlnet_model="canny", **pictures)
    assert wrong == {"init_image": ["The init image field is required."]}


def test_all_that_is_missing_is_told_at_once_and_before_the_model_is_looked_up(idle: House) -> None:
    missing = {
        "prompt": ["The prompt field is required."],
        "controlnet_model": ["The controlnet model field is required."],
        "init_image": ["The init image field is required."],
    }
    assert idle.ask(CONTROLNET)["message"] == missing
    assert idle.ask(CONTROLNET, model_id="none-such")["message"] == missing
    wrong = idle.ask(CONTROLNET, prompt="x", controlnet_model="canny", control_image=["no"])["message"]
    assert wrong == {"control_image": ["The control image must be a string."]}


def test_there_has_to_be_a_net(idle: House) -> None:
    for nothing in ({}, {"controlnet_model": "none"}):
        wrong = idle.wrong(CONTROLNET, model_id="mini", init_image=PICTURE, **nothing)
        assert wrong == {"controlnet_model": ["The controlnet model field is required."]}


@pytest.mark.parametrize("said", ["yes", " YES", True, 1, "on"])
def test_guessing_needs_no_words_and_gets_none(idle: House, said: object) -> None:
    """The picture that only the negative prompt's words of quality lead away from is a black one."""
    request = asked(idle, guess_mode=said, prompt=None)
    assert (request.prompt, request.negative_prompt) == ("", "")
    assert request.controls[0].guess
    wrong = idle.wrong(CONTROLNET, model_id="mini", controlnet_model="canny", init_image=PICTURE, prompt=None)
    assert wrong == {"prompt": ["The prompt field is required."]}


def test_a_second_pass_goes_with_nets_but_not_with_a_picture_to_begin_with(idle: House) -> None:
    assert asked(idle, highres_fix="yes").hires is not None
    wrong = idle.wrong(
        CONTROLNET,
        model_id="mini",
        controlnet_model="canny",
        init_image=PICTURE,
        strength=0.5,
        highres_fix="yes",
    )
    assert list(wrong) == ["highres_fix"]


def test_the_meta(idle: House) -> None:
    body = {"model_id": "mini", "prompt": "a lighthouse"}
    nets = {
        "controlnet_model": "canny,depth",
        "controlnet_conditioning_scale": "0.5,0.8",
        "guess_mode": "no",
    }
    words = idle.make("/api/v4/dreambooth", **body)["meta"]
    meta = idle.make(CONTROLNET, **body, **nets, init_image=PICTURE)["meta"]
    added = {name: meta[name] for name in meta if name not in words}
    assert added.pop("init_image")
    assert added == nets | {
        "mask_image": None,
        "control_image": None,
        "strength": None,
        "controlnet_type": None,
        "auto_hint": "yes",
    }


def test_a_picture_comes_of_it(house: House) -> None:
    answer = house.make(CONTROLNET, model_id="fake", controlnet_model="canny", init_image=PICTURE)
    assert house.picture(answer["output"][0]).size == (64, 64)
