"""POST /img2img and POST /inpaint: pictures from pictures, and into parts of them."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw

from diffusionapi.main import create_app
from tests import stubs

if TYPE_CHECKING:
    from diffusionapi.settings import Settings

SIZE = (96, 64)


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def a_picture(size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.radial_gradient("L").resize(size).convert("RGB")


def a_mask(box: tuple[int, int, int, int] = (32, 16, 63, 47)) -> Image.Image:
    mask = Image.new("L", SIZE)
    ImageDraw.Draw(mask).rectangle(box, fill=255)
    return mask


PICTURE, MASK = encoded(a_picture()), encoded(a_mask())


def submit(client: TestClient, path: str = "/img2img", **fields: Any) -> str:
    body = {"prompt": "a storm", "image": PICTURE, "steps": 2, "fileType": "png"} | fields
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["job_id", "status"]
    return str(answer.json()["job_id"])


def made(client: TestClient, path: str = "/img2img", **fields: Any) -> dict[str, Any]:
    job_id = submit(client, path, **fields)
    finished: dict[str, Any] = client.get(f"/queue/{job_id}", params={"wait": 60}).json()
    assert finished["state"] == "done", finished
    return finished


def inpainted(client: TestClient, **fields: Any) -> dict[str, Any]:
    return made(client, "/inpaint", **{"mask": MASK, "mask_blur": 0, "resize_by": 1} | fields)


def picture_of(finished: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(finished["image"]))).convert("RGB")


def refusal(client: TestClient, path: str = "/img2img", status: int = 422, **fields: Any) -> str:
    body = {"prompt": "a storm", "image": PICTURE, "mask": MASK} | fields
    answer = client.post(path, json={name: value for name, value in body.items() if value != "left out"})
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["status", "error", "detail"]
    assert answer.json()["error"] == answer.json()["detail"]
    return str(answer.json()["error"])


# --- what comes in --------------------------------------------------------------------------------------


def test_a_picture_begins_with_the_one_given(shared_client: TestClient) -> None:
    small = made(shared_client, denoising_strength=0.1, resize_by=1, seed=5)
    large = made(shared_client, denoising_strength=0.9, resize_by=1, seed=5)

    def distance(finished: dict[str, Any]) -> int:
        return sum(
            abs(one - other)
            for one, other in zip(picture_of(finished).tobytes(), a_picture().tobytes(), strict=True)
        )

    assert 0 < distance(small) < distance(large)


def test_without_noise_the_picture_comes_back(shared_client: TestClient) -> None:
    finished = made(shared_client, denoising_strength=0, resize_by=1)
    assert picture_of(finished).tobytes() == a_picture().tobytes()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("form", ["{}", "data:image/any;base64,{}"])
def test_a_picture_may_be_base64_or_a_data_url(shared_client: TestClient, kind: str, form: str) -> None:
    image = form.format(encoded(a_picture(), kind))
    assert picture_of(made(shared_client, image=image, resize_by=1)).size == SIZE


def test_a_picture_may_be_one_that_this_server_made(shared_client: TestClient) -> None:
    first = made(shared_client)
    url = f"http://testserver/images/{first['job_id']}.png"
    again = made(shared_client, image=url, denoising_strength=0)
    assert picture_of(again).tobytes() == picture_of(first).tobytes()


def test_the_payload_names_the_servers_copies_and_holds_no_picture(
    client: TestClient, settings: Settings
) -> None:
    finished = inpainted(client, seed=1)
    payload = finished["payload"]
    folder = settings.path(settings.uploads_dir)
    assert {payload["image"], payload["mask"]} == {one.name for one in folder.iterdir()}
    with Image.open(folder / payload["image"]) as kept:
        assert kept.tobytes() == a_picture().tobytes()
    assert list(payload) == [
        *("prompt", "negative_prompt", "steps", "cfg_scale", "width", "height", "model", "sampler_name"),
        *("scheduler_type", "fileType", "jpeg_quality", "loras", "seed", "image", "denoising_strength"),
        *("image_guidance_scale", "resize_mode", "resize_by", "mask", "mask_blur", "mask_invert"),
        *("inpainting_fill", "inpaint_area", "inpaint_full_res_padding"),
    ]


def test_a_refused_request_leaves_no_picture_behind(idle_client: TestClient, settings: Settings) -> None:
    refusal(idle_client, model="no-such-model")
    refusal(idle_client, resize_to={"width": 4000, "height": 64})
    folder = settings.path(settings.uploads_dir)
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_picture_may_be_as_large_as_the_limits_say(settings: Settings) -> None:
    large = encoded(Image.new("RGB", (3240, 3240)), compress_level=0)
    assert len(large) > 32 * 2**20
    app = create_app(settings.model_copy(update={"workers": 0, "max_body_mb": 48}))
    with TestClient(app) as client:
        submit(client, image=large)
    app = create_app(settings.model_copy(update={"workers": 0}))
    with TestClient(app) as client:
        assert "MAX_BODY_MB" in refusal(client, status=413, image=large)


# --- size -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({}, (512, 512)),
        ({"width": 100, "height": 99}, (104, 96)),
        ({"resize_to": {"width": 100, "height": 99}}, (104, 96)),
        ({"resize_by": 2}, (192, 128)),
        ({"resize_by": "1.5"}, (144, 96)),
        ({"resize_by": {"width": 1, "height": 3}}, (96, 192)),
        ({"resized_by": 2}, (192, 128)),
        ({"resized_by": {"width": 0.01, "height": 0.01}}, (8, 8)),
        ({"resize_by": 2, "resized_by": 2}, (192, 128)),
        ({"resize_by": None, "resize_to": None}, (512, 512)),
    ],
)
def test_the_size_is_the_one_that_is_asked_for(
    shared_client: TestClient, asked: dict[str, Any], size: tuple[int, int]
) -> None:
    finished = made(shared_client, **asked)
    assert (finished["width"], finished["height"]) == picture_of(finished).size == size
    assert (finished["payload"]["width"], finished["payload"]["height"]) == size
    assert finished["sampling"]["notices"] == []


@pytest.mark.parametrize(
    ("mode", "name"), [("Crop and Resize", "crop and resize"), (0, "just resize"), ("2", "resize and fill")]
)
def test_resize_modes_have_names_and_numbers(shared_client: TestClient, mode: object, name: str) -> None:
    assert made(shared_client, resize_mode=mode, width=64, height=64)["payload"]["resize_mode"] == name


def test_resize_modes_differ(shared_client: TestClient) -> None:
    results = {
        picture_of(made(shared_client, resize_mode=mode, width=64, height=64, denoising_strength=0)).tobytes()
        for mode in ("just resize", "crop and resize", "resize and fill")
    }
    assert len(results) == 3


# --- what does nothing, and what is refused -------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "asked", "notice"),
    [
        ("/img2img", {"image_guidance_scale": 2}, "image_guidance_scale has no effect"),
        ("/img2img", {"resize_by": 1, "width": 640}, "width had no effect: resize_by says the size"),
        ("/inpaint", {"inpaint_full_res_padding": 8}, "inpaint_full_res_padding has no effect"),
    ],
)
def test_what_does_nothing_is_told(
    shared_client: TestClient, path: str, asked: dict[str, Any], notice: str
) -> None:
    (told,) = made(shared_client, path, mask=MASK, **asked)["sampling"]["notices"]
    assert notice in told


@pytest.mark.parametrize(
    ("path", "missing", "sentence"),
    [
        ("/img2img", "image", "Image field is required"),
        ("/img2img", "prompt", "Prompt field is required"),
        ("/inpaint", "image", "Image field is required"),
        ("/inpaint", "mask", "Mask field is required"),
        ("/img-info", "image", "Image field is required"),
    ],
)
@pytest.mark.parametrize("value", ["left out", None, ""])
def test_what_is_missing_is_named_as_documented(
    idle_client: TestClient, path: str, missing: str, sentence: str, value: object
) -> None:
    assert refusal(idle_client, path, 400, **{missing: value}) == sentence


@pytest.mark.parametrize(
    ("asked", "field", "hint"),
    [
        ({"prompt": " "}, "prompt", "must not be blank"),
        ({"image": 5}, "image", "must be a string, got 5"),
        ({"image": "no picture!"}, "image", "neither base64 nor a URL"),
        ({"image": "file:///etc/passwd"}, "image", ""),
        ({"image": encoded(a_picture())[:60]}, "image", ""),
        ({"steps": 0}, "steps", "must be from 1 to 1000"),
        ({"width": 2056}, "width", "at most 2048 on this server (MAX_SIDE), got 2056"),
        ({"model": "fale"}, "model", "did you mean 'fake'"),
        ({"loras": ["none-such"]}, "loras[0]", "no LoRA is installed"),
        ({"denoising_strength": 1.5}, "denoising_strength", "must be from 0 to 1"),
        ({"denoising_strength": "much"}, "denoising_strength", "must be a number, got 'much'"),
        ({"resize_mode": "squash"}, "resize_mode", "must be 'just resize', 'crop and resize' or"),
        ({"resize_mode": 3}, "resize_mode", "must be 'just resize'"),
        ({"resize_by": 0}, "resize_by.width", "must be above 0, 16 at most, got 0"),
        ({"resize_by": 30}, "resize_by.width", "must be above 0, 16 at most"),
        ({"resize_by": {"width": 1}}, "resize_by.height", "is required"),
        ({"resize_by": 16, "image": encoded(a_picture((160, 64)))}, "resize_by.width", "at most 2048"),
        ({"resize_to": 512}, "resize_to", "must be an object, got 512"),
        ({"resize_to": {"width": 4000, "height": 8}}, "resize_to.width", "at most 2048 on this server"),
        ({"resize_to": {"width": 64, "height": 64}, "resize_by": 2}, "resize_to", "give one of the two"),
        ({"resize_by": 1, "resized_by": 2}, "resized_by", "is another name of resize_by"),
        ({"hires": {"enabled": True}}, "hires", "has no second pass"),
    ],
)
def test_what_is_wrong_is_refused_with_the_field(
    idle_client: TestClient, asked: dict[str, Any], field: str, hint: str
) -> None:
    sentence = refusal(idle_client, **asked)
    assert sentence.startswith(f"{field}: "), sentence
    assert hint in sentence
    assert idle_client.get("/queue").json()["waiting_total"] == 0


@pytest.mark.parametrize(
    ("asked", "field", "hint"),
    [
        ({"mask": "no picture!"}, "mask", "neither base64 nor a URL"),
        ({"mask_blur": -1}, "mask_blur", "must be from 0 to 256"),
        ({"mask_invert": "perhaps"}, "mask_invert", "must be true or false"),
        ({"inpainting_fill": "paint"}, "inpainting_fill", "must be 'fill', 'original', 'latent noise' or"),
        ({"inpainting_fill": True}, "inpainting_fill", "must be 'fill'"),
        ({"inpaint_area": "half"}, "inpaint_area", "must be 'whole picture' or 'only masked'"),
        ({"inpaint_full_res": True, "inpaint_area": "whole picture"}, "inpaint_full_res", "another name"),
        ({"inpaint_full_res_padding": 2000}, "inpaint_full_res_padding", "must be from 0 to 1024"),
    ],
)
def test_what_is_wrong_with_a_mask_is_refused(
    idle_client: TestClient, asked: dict[str, Any], field: str, hint: str
) -> None:
    sentence = refusal(idle_client, "/inpaint", **asked)
    assert sentence.startswith(f"{field}: "), sentence
    assert hint in sentence


def test_a_disabled_second_pass_is_none(shared_client: TestClient) -> None:
    assert made(shared_client, hires={"enabled": False})["state"] == "done"


# --- inpainting -----------------------------------------------------------------------------------------


def outside(picture: Image.Image, *, inverted: bool = False) -> bytes:
    kept = a_mask() if not inverted else a_mask().point(lambda level: 255 - level)
    return Image.composite(Image.new("RGB", SIZE), picture, kept).tobytes()


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("name", ["mask_invert", "inpainting_mask_invert"])
def test_outside_of_the_mask_nothing_changes(shared_client: TestClient, inverted: bool, name: str) -> None:
    result = picture_of(inpainted(shared_client, **{name: inverted}))
    assert result.tobytes() != a_picture().tobytes()
    assert outside(result, inverted=inverted) == outside(a_picture(), inverted=inverted)


@pytest.mark.parametrize(
    ("asked", "area"),
    [
        ({"inpaint_area": "Only masked"}, "only masked"),
        ({"inpaint_full_res": True}, "only masked"),
        ({"inpaint_full_res": 1}, "only masked"),
        ({"inpaint_full_res": False}, "whole picture"),
        ({}, "whole picture"),
    ],
)
def test_the_area_has_a1111s_names_too(shared_client: TestClient, asked: dict[str, Any], area: str) -> None:
    assert inpainted(shared_client, **asked)["payload"]["inpaint_area"] == area


def test_only_the_masked_part_is_painted_at_full_size_and_the_picture_keeps_its_own(
    shared_client: TestClient,
) -> None:
    finished = inpainted(shared_client, inpaint_area="only masked", resize_by=None, width=128, height=128)
    assert picture_of(finished).size == (finished["width"], finished["height"]) == SIZE
    assert outside(picture_of(finished)) == outside(a_picture())


@pytest.mark.parametrize(
    ("fill", "name"),
    [(0, "fill"), ("1", "original"), ("Latent noise", "latent noise"), (3, "latent nothing")],
)
def test_what_is_masked_may_begin_in_four_ways(shared_client: TestClient, fill: object, name: str) -> None:
    assert inpainted(shared_client, inpainting_fill=fill)["payload"]["inpainting_fill"] == name


# --- the same as for txt2img ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/img2img", "/inpaint"])
def test_an_idempotency_key_gives_the_same_job_for_the_same_pictures(
    idle_client: TestClient, path: str
) -> None:
    def post(**fields: Any) -> Any:
        body = {"prompt": "a storm", "image": PICTURE, "mask": MASK} | fields
        return idle_client.post(path, json=body, headers={"Idempotency-Key": "k1"})

    assert post().json() == post().json()
    assert idle_client.get("/queue").json()["waiting_total"] == 1
    other = post(image=encoded(a_picture((64, 64))))
    assert other.status_code == 422
    assert other.json()["error"].startswith("Idempotency-Key: ")


def test_loras_act_by_field_and_by_tag(idle_client: TestClient, settings: Settings) -> None:
    stubs.a_lora(settings.path(settings.loras_dir) / "night.safetensors")
    submit(idle_client, loras=["night"], prompt="a storm <lora:night:0.5>")
    service = idle_client.app.state.service  # type: ignore[attr-defined]
    (waiting,) = service.store.listing(10).waiting
    ticket = service.store.ticket(waiting.job_id)
    assert [lora.scale for lora in ticket.request.loras] == [1.0, 0.5]
    assert ticket.request.prompt == "a storm "
    assert len(json.dumps(ticket.payload)) < 2000
