"""Pictures made larger."""

from __future__ import annotations

import base64

import pytest

from diffusionapi.core.work import UpscaleRequest
from tests.api.v3.house import NO_MODEL, PICTURE, House, a_png, as_base64, opened

PATH = "/api/v3/super_resolution"
SINGLE = [PATH, "/api/v1/enterprise/super_resolution", f"{PATH}/"]
LISTED = "/api/v6/image_editing/super_resolution"


def asked(idle: House, **body: object) -> UpscaleRequest:
    request = idle.ticket(idle.ask(PATH, **{"url": PICTURE} | body)).request
    assert isinstance(request, UpscaleRequest)
    return request


@pytest.mark.parametrize("path", SINGLE)
def test_the_answer_has_one_url_and_no_list(house: House, path: str) -> None:
    answer = house.ask(path, url=as_base64(a_png(40, 30)), scale="2")
    assert list(answer) == ["status", "generationTime", "id", "output"]
    assert answer["status"] == "success"
    assert house.picture(answer["output"]).size == (80, 60)
    fetched = house.ask(f"/api/v3/fetch/{answer['id']}")
    assert fetched == {"status": "success", "id": answer["id"], "output": [answer["output"]]}


def test_the_newer_path_answers_a_list(house: House) -> None:
    (url,) = house.ask(LISTED, init_image=PICTURE, scale=1)["output"]
    assert house.picture(url).size == (64, 64)


def test_as_base64(house: House) -> None:
    picture = house.ask(PATH, url=PICTURE, scale=2, base64="yes")["output"]
    assert opened(base64.b64decode(picture, validate=True)).size == (128, 128)


@pytest.mark.parametrize("path", [*SINGLE, LISTED])
def test_processing_has_an_empty_list_as_everywhere(idle: House, path: str) -> None:
    answer = idle.ask(path, url=PICTURE)
    assert (answer["status"], answer["output"]) == ("processing", [])


def test_defaults(idle: House) -> None:
    request = asked(idle)
    assert (request.scale, request.upscaler, request.faces) == (3, "RealESRGAN_x4plus", False)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("realesr-general-x4v3", "RealESRGAN_x4plus"),
        ("RealESRGAN_x4plus", "RealESRGAN_x4plus"),
        ("Lanczos", "Lanczos"),
    ],
)
def test_upscalers(idle: House, given: str, found: str) -> None:
    assert asked(idle, model_id=given).upscaler == found


@pytest.mark.parametrize("name", ["RealESRNet_x4plus", "Latent"])
def test_an_upscaler_that_is_none_here(idle: House, name: str) -> None:
    answer = idle.ask(PATH, url=PICTURE, model_id=name)
    assert answer == NO_MODEL | {"tip": answer["tip"]}
    assert name in answer["tip"]


def test_faces_need_what_restores_them(idle: House) -> None:
    (sentence,) = idle.ask(PATH, url=PICTURE, face_enhance=True)["message"]["face_enhance"]
    assert "GFPGAN" in sentence


@pytest.mark.parametrize(("scale", "right"), [(0.5, False), (1, True), ("4", True), (5, False)])
def test_scale(idle: House, scale: object, right: bool) -> None:
    answer = idle.ask(PATH, url=PICTURE, scale=scale)
    assert answer["status"] == ("processing" if right else "error")


@pytest.mark.parametrize("name", ["url", "init_image"])
@pytest.mark.parametrize("picture", [5, "no picture"])
def test_a_wrong_picture_is_told_by_the_name_that_it_came_under(
    idle: House, name: str, picture: object
) -> None:
    assert list(idle.ask(PATH, **{name: picture})["message"]) == [name]


def test_what_is_missing(idle: House) -> None:
    assert idle.ask(PATH)["message"] == {"url": ["The url field is required."]}
