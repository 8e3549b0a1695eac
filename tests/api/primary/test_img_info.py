"""POST /img-info: what pictures say of how they were made."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, PngImagePlugin

from diffusionapi.core.request import Hires, Lora, Refiner, Source, Upscale
from diffusionapi.engine.picture_file import embed
from diffusionapi.infotext.grammar import Facts, write
from tests.factories import a_request

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from diffusionapi.core.request import FileType


def ask(client: TestClient, content: bytes) -> dict[str, Any]:
    answer = client.post("/img-info", json={"image": base64.b64encode(content).decode()})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert list(found) == ["status", "info", "items", "parameters", "request"]
    return found


def a_file(text: str | None, file_type: FileType = "png") -> bytes:
    return embed(Image.new("RGB", (64, 64), "orange"), text, file_type)


@pytest.mark.parametrize("file_type", ["png", "jpg"])
def test_a_picture_of_ours_gives_a_request_that_gives_it_again(
    idle_client: TestClient, file_type: FileType
) -> None:
    request = a_request(
        prompt="a lighthouse, (storm:1.2)",
        negative_prompt="blurry",
        clip_skip=2,
        loras=(Lora("night", 0.8, 0.8), Lora("waves", 1.0, 0.5)),
        hires=Hires(2.0, "Latent", 10, 0.55),
        refiner=Refiner("refiner", 0.8),
    )
    text = write(request, Facts("6000161689"))
    found = ask(idle_client, a_file(text, file_type))
    assert found["info"] == text
    assert found["parameters"]["prompt"].startswith("a lighthouse, (storm:1.2) <lora:night:0.8>")
    assert found["parameters"]["negative_prompt"] == "blurry"
    assert (found["parameters"]["Seed"], found["parameters"]["CFG scale"]) == (7, 7)
    assert (found["parameters"]["Size"], found["parameters"]["Model hash"]) == ("64x64", "6000161689")
    assert found["request"] == {
        "prompt": "a lighthouse, (storm:1.2) <lora:waves:0.5:1.0>",
        "negative_prompt": "blurry",
        "steps": 4,
        "cfg_scale": 7.0,
        "seed": 7,
        "clip_skip": 2,
        "model": "fake",
        "width": 64,
        "height": 64,
        "sampler_name": "Euler",
        "scheduler_type": "karras",
        "loras": [{"name": "night", "scale": 0.8}],
        "hires": {
            "enabled": True,
            "scale": 2.0,
            "upscaler": "Latent",
            "steps": 10,
            "denoising_strength": 0.55,
        },
        "refiner_checkpoint": "refiner",
        "refiner_switch_at": 0.8,
    }


def test_the_request_is_accepted_as_it_is(idle_client: TestClient) -> None:
    text = write(a_request(sampler="DDIM", schedule="own"), Facts())
    request = ask(idle_client, a_file(text))["request"]
    assert idle_client.post("/txt2img", json=request).status_code == 200


def test_all_that_a_picture_was_asked_for_comes_back(idle_client: TestClient) -> None:
    plain = ask(idle_client, a_file(write(a_request(), Facts())))["request"]
    more = a_request(
        self_attention=0.75,
        tiling="horizontal",
        vae="sharp",
        upscale=Upscale("ESRGAN_4x", 2.0, faces=True),
        translate=True,
    )
    found = ask(idle_client, a_file(write(more, Facts())))["request"]
    assert found == plain | {
        "self_attention": 0.75,
        "tiling": "horizontal",
        "vae": "sharp",
        "upscale": {"upscaler": "ESRGAN_4x", "scale": 2.0, "faces": True},
        "translate": True,
    }


def test_a_request_that_was_read_back_gives_the_same_picture(client: TestClient) -> None:
    def made(**body: Any) -> bytes:
        job_id = client.post("/txt2img", json=body | {"fileType": "png"}).json()["job_id"]
        return base64.b64decode(client.get(f"/queue/{job_id}", params={"wait": 30}).json()["image"])

    asked = {"prompt": "a valley", "width": 64, "height": 64, "steps": 2}
    more = {"self_attention": 0.5, "tiling": "both", "upscale": {"scale": 1.5, "upscaler": "Nearest"}}
    first = made(**asked, **more)
    assert first != made(**asked)
    assert made(**ask(client, first)["request"]) == first


def test_how_a_picture_was_resized_is_told(idle_client: TestClient) -> None:
    text = write(a_request(source=Source("upload.png", 0.6, "crop", None)), Facts())
    found = ask(idle_client, a_file(text, "jpg"))
    assert found["parameters"]["Resize mode"] == "Crop and resize"
    assert found["parameters"]["Denoising strength"] == 0.6


def test_a_picture_that_says_nothing_is_no_error(idle_client: TestClient) -> None:
    found = ask(idle_client, a_file(None))
    assert found == {"status": "success", "info": "", "items": {}, "parameters": {}, "request": {}}


def test_other_texts_are_items(idle_client: TestClient) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Software", "a painter")
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG", pnginfo=chunks)
    assert ask(idle_client, buffer.getvalue())["items"] == {"Software": "a painter"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a cat",
        "\n\n",
        "Steps: nan, Seed: -7, Size: 0x0, CFG scale: inf",
        "a\nSteps: " + "9" * 5000 + ", Seed: 1, Size: axb, CFG scale: nan",
        'a\nSteps: 1, Seed: 2, Size: 8x8, Exact: "{\\"prompt\\": 5, \\"seed\\": NaN, \\"width\\": {}}"',
        (
            'a\nSteps: 1, Seed: 2, Size: 8x8, Exact: "{\\"loras\\": [{\\"name\\": 1, \\"scale\\": [], '
            '\\"text_encoder_scale\\": 2}], \\"steps\\": 1e400}"'
        ),
    ],
)
def test_strange_texts_are_read_as_far_as_they_make_sense(idle_client: TestClient, text: str) -> None:
    found = ask(idle_client, a_file(text))
    assert found["info"] == text
    if "prompt" in found["request"]:
        assert idle_client.post("/txt2img", json=found["request"]).status_code in (200, 422)


@pytest.mark.parametrize("content", [b"GIF89a" + bytes(50), b"hello", bytes(100)])
def test_what_is_no_picture_is_refused(idle_client: TestClient, content: bytes) -> None:
    answer = idle_client.post("/img-info", json={"image": base64.b64encode(content).decode()})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("image: ")
