"""The fields for ControlNets, guidance, tiling, VAEs, larger pictures, languages and the safety checker."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from diffusionapi.core.request import Control, GenerationRequest, Upscale
from diffusionapi.main import create_app
from tests import stubs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.settings import Settings


def encoded(size: tuple[int, int] = (96, 64)) -> str:
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize(size).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


PICTURE = encoded()
CANNY = {"hint": "canny", "image": PICTURE}


@pytest.fixture
def furnished(settings: Settings, tmp_path: Path) -> Iterator[TestClient]:
    """Nobody works. There are models and ControlNets of two families, a VAE and an upscaler."""
    here = tmp_path / "stable_diffusion"
    stubs.a_model(here / "models" / "small")
    stubs.a_model(here / "models" / "large", "sdxl")
    stubs.a_controlnet(here / "controlnet" / "control_v11p_sd15_canny")
    stubs.a_controlnet(here / "controlnet" / "my-own-net")
    stubs.a_controlnet(here / "controlnet" / "xl_canny", "sdxl")
    stubs.a_vae(here / "vaes" / "sharp")
    stubs.a_vae(here / "vaes" / "sharp-xl", "sdxl")
    stubs.a_file(here / "upscalers" / "RealESRGAN_x4.safetensors", {})
    stubs.a_file(here / "embeddings" / "midnight.safetensors", {"emb_params": (1, 768)})
    with TestClient(create_app(settings.model_copy(update={"workers": 0}))) as client:
        yield client


def submit(client: TestClient, path: str = "/txt2img", **fields: Any) -> str:
    body = {"prompt": "a lighthouse", "model": "small"} | fields
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["job_id"])


def asked(client: TestClient, path: str = "/txt2img", **fields: Any) -> GenerationRequest:
    """What the job asks the engine for."""
    found: GenerationRequest = ticket(client, path, **fields).generation
    return found


def ticket(client: TestClient, path: str = "/txt2img", **fields: Any) -> Any:
    job_id = submit(client, path, **fields)
    return client.app.state.service.store.ticket(job_id)  # type: ignore[attr-defined]


def refusal(client: TestClient, path: str = "/txt2img", **fields: Any) -> str:
    answer = client.post(path, json={"prompt": "a lighthouse", "model": "small"} | fields)
    assert answer.status_code == 422, answer.text
    assert client.get("/queue").json()["waiting_total"] == 0
    return str(answer.json()["error"])


# --- what arrives ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"self_attention": 0.75}, "self_attention", 0.75),
        ({"tiling": "Horizontal"}, "tiling", "horizontal"),
        ({"tiling": True}, "tiling", "both"),
        ({"tiling": False}, "tiling", "none"),
        ({"vae": "sharp"}, "vae", "sharp"),
        ({"upscale": 2}, "upscale", Upscale("RealESRGAN_x4", 2.0, faces=False)),
        ({"upscale": {"upscaler": "lanczos"}}, "upscale", Upscale("Lanczos", 2.0, faces=False)),
        ({"upscale": 1}, "upscale", None),
        ({"translate": True}, "translate", True),
        ({"controls": []}, "controls", ()),
    ],
)
def test_what_is_asked_for_is_in_the_job(
    furnished: TestClient, fields: dict[str, Any], name: str, value: object
) -> None:
    assert getattr(asked(furnished, **fields), name) == value


def test_the_payload_has_the_new_fields_only_where_somebody_chose(furnished: TestClient) -> None:
    plain = ticket(furnished).payload
    new = {"controls", "self_attention", "tiling", "vae", "upscale", "translate", "priority"}
    assert set(plain) & new == set()
    chosen = ticket(
        furnished, self_attention=0.5, tiling="both", vae="Sharp", upscale=2, translate=True, priority=-2
    ).payload
    assert {name: chosen[name] for name in chosen if name not in plain} == {
        "self_attention": 0.5,
        "tiling": "both",
        "vae": "Sharp",
        "upscale": {"scale": 2.0, "upscaler": "RealESRGAN_x4", "faces": False},
        "translate": True,
        "priority": -2,
    }


def test_controls_arrive_with_their_pictures(furnished: TestClient, settings: Settings) -> None:
    first = {"model": "canny", "hint": "Canny", "image": PICTURE, "weight": 0.8, "end": 0.7}
    second = {"model": "my own net", "image": encoded((32, 32)), "start": 0.2, "guess_mode": True}
    job = ticket(furnished, controls=[first, second])
    uploads = [one.upload for one in job.generation.controls]
    assert job.generation.controls == (
        Control("control_v11p_sd15_canny", uploads[0], "canny", 0.8, 0.0, 0.7, guess=False),
        Control("my-own-net", uploads[1], "none", 1.0, 0.2, 1.0, guess=True),
    )
    for name, size in zip(uploads, [(96, 64), (32, 32)], strict=True):
        with Image.open(settings.path(settings.uploads_dir) / name) as kept:
            assert kept.size == size
    assert [one["image"] for one in job.payload["controls"]] == uploads
    assert [one["model"] for one in job.payload["controls"]] == ["canny", "my own net"]


def test_a_control_without_a_name_is_one_for_its_hint_and_the_models_family(furnished: TestClient) -> None:
    (small,) = asked(furnished, controls=[CANNY]).controls
    (large,) = asked(furnished, controls=[CANNY], model="large").controls
    assert (small.net, large.net) == ("control_v11p_sd15_canny", "xl_canny")


def test_a_control_without_a_picture_looks_at_the_one_to_begin_with(furnished: TestClient) -> None:
    request = asked(furnished, "/img2img", image=PICTURE, controls=[{"hint": "canny"}])
    assert request.source is not None
    assert [one.upload for one in request.controls] == [request.source.upload]


def test_a_control_shows_in_the_picture(client: TestClient, tmp_path: Path) -> None:
    stubs.a_controlnet(tmp_path / "stable_diffusion" / "controlnet" / "canny")

    def made(**fields: Any) -> dict[str, Any]:
        job_id = submit(client, model="fake", seed=5, steps=2, fileType="png", **fields)
        done: dict[str, Any] = client.get(f"/queue/{job_id}", params={"wait": 30}).json()
        assert done["state"] == "done", done
        return done

    bare, held, larger = made(), made(controls=[CANNY]), made(upscale={"scale": 1.5, "upscaler": "Lanczos"})
    assert bare["image"] != held["image"]
    assert held["payload"]["controls"][0]["hint"] == "canny"
    assert (larger["width"], larger["height"]) == (768, 768)


# --- safety and languages -------------------------------------------------------------------------------


def test_who_names_a_blanking_has_the_safety_checker_look(settings: Settings, tmp_path: Path) -> None:
    stubs.a_model(tmp_path / "stable_diffusion" / "models" / "small")
    checker = tmp_path / "stable_diffusion" / "safety_checker"
    stubs.a_file(checker / "model.safetensors", {})
    (checker / "config.json").write_text("{}")
    with TestClient(create_app(settings)) as client:

        def made(**fields: Any) -> dict[str, Any]:
            job_id = submit(client, prompt="#unsafe", model="fake", steps=1, **fields)
            done: dict[str, Any] = client.get(f"/queue/{job_id}", params={"wait": 30}).json()
            return done

        unasked, flagged = made(), made(blanking="Pixelated")
        assert "flagged" not in unasked["sampling"]
        assert flagged["sampling"]["flagged"] is True
        assert "pixelated" in flagged["sampling"]["notices"][0]
        assert flagged["payload"]["blanking"] == "pixelated"


def test_what_was_translated_is_told(client: TestClient, tmp_path: Path) -> None:
    """The fake engine says that it did, and leaves the words as they are."""
    translator = tmp_path / "stable_diffusion" / "translators" / "opus-mt-de-en"
    stubs.a_file(translator / "model.safetensors", {})
    (translator / "config.json").write_text('{"model_type": "marian"}')

    def sampling(prompt: str) -> dict[str, Any]:
        job_id = submit(client, model="fake", steps=1, translate=True, prompt=prompt)
        done = client.get(f"/queue/{job_id}", params={"wait": 30}).json()
        assert done["state"] == "done", done
        found: dict[str, Any] = done["sampling"]
        return found

    told = sampling("ein rotes Fahrrad vor einer alten Mauer")["translated"]
    assert told == {"prompt": "ein rotes Fahrrad vor einer alten Mauer", "negative_prompt": ""}
    assert "translated" not in sampling("a red bicycle")


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "field", "hint"),
    [
        ({"controls": "canny"}, "controls", "must be a list"),
        ({"controls": [CANNY | {"hint": "cannny"}]}, "controls[0].hint", "must be 'none', 'canny'"),
        ({"controls": [{"image": PICTURE}]}, "controls[0].model", "is required where hint does not say"),
        ({"controls": [CANNY | {"model": "cany"}]}, "controls[0].model", "unknown ControlNet 'cany'"),
        ({"controls": [CANNY | {"model": "xl_canny"}]}, "controls[0].model", "was made for SDXL"),
        ({"controls": [CANNY, {"hint": "canny"}]}, "controls[1].image", "is required"),
        ({"controls": [CANNY | {"image": "no picture!"}]}, "controls[0].image", "neither base64 nor a URL"),
        ({"controls": [CANNY | {"weight": 6}]}, "controls[0].weight", "must be from 0 to 5"),
        ({"controls": [CANNY | {"start": 0.5, "end": 0.5}]}, "controls[0].end", "greater than start, 0.5"),
        ({"controls": [CANNY | {"hint": "depth"}]}, "controls[0].hint", "needs a network in"),
        (
            {"controls": [{"model": "my-own-net", "hint": "inpaint", "image": PICTURE}]},
            "controls[0].hint",
            "mask",
        ),
        ({"controls": [CANNY] * 9}, "controls", "at most 8"),
        ({"self_attention": -1}, "self_attention", "must be from 0 to 5"),
        ({"self_attention": "much"}, "self_attention", "must be a number"),
        ({"tiling": "vertical"}, "tiling", "must be 'none', 'horizontal' or 'both'"),
        ({"vae": "shrp"}, "vae", "did you mean 'sharp'"),
        ({"vae": "sharp-xl"}, "vae", "'sharp-xl'"),
        ({"upscale": {"scale": 5}}, "upscale.scale", "must be from 1 to 4"),
        ({"upscale": "much"}, "upscale.scale", "must be a number"),
        ({"upscale": {"upscaler": "Latent"}}, "upscale.upscaler", "makes latents larger"),
        ({"upscale": {"upscaler": "zzz"}}, "upscale.upscaler", "unknown upscaler 'zzz'"),
        ({"upscale": {"faces": True}}, "upscale.faces", "faces cannot be restored"),
        (
            {
                "width": 2048,
                "hires": {"enabled": True, "scale": 2, "upscaler": "Lanczos"},
                "upscale": {"scale": 4, "upscaler": "Lanczos"},
            },
            "upscale.scale",
            "no side may be longer than 8192",
        ),
        ({"translate": True, "prompt": "ein rotes Fahrrad vor einer alten Mauer"}, "prompt", "German"),
        ({"priority": 11}, "priority", "must be from -10 to 10"),
        ({"priority": "high"}, "priority", "must be a whole number"),
        ({"translate": "perhaps"}, "translate", "must be true or false"),
        ({"blanking": "white"}, "blanking", "must be 'black', 'blurred', 'pixelated' or 'text'"),
        ({"blanking": "black"}, "blanking", "no safety checker is installed"),
    ],
)
def test_what_cannot_be_is_refused_with_the_field(
    furnished: TestClient, fields: dict[str, Any], field: str, hint: str
) -> None:
    sentence = refusal(furnished, **fields)
    assert sentence.startswith(f"{field}: "), sentence
    assert hint in sentence


def test_a_part_that_is_painted_alone_is_no_tile(furnished: TestClient) -> None:
    given = {"image": PICTURE, "mask": PICTURE, "inpaint_area": "only masked"}
    assert refusal(furnished, "/inpaint", tiling="both", **given).startswith("tiling: the masked part alone")


# --- lists ----------------------------------------------------------------------------------------------


def test_controlnets_are_listed_with_what_they_look_at(furnished: TestClient) -> None:
    assert furnished.get("/controlnets").json() == {
        "status": "success",
        "controlnets": [
            {"name": "control_v11p_sd15_canny", "hint": "canny"},
            {"name": "my-own-net", "hint": None},
            {"name": "xl_canny", "hint": "canny"},
        ],
    }


def test_details_say_what_controlnets_and_vaes_are(furnished: TestClient, tmp_path: Path) -> None:
    (tmp_path / "stable_diffusion" / "controlnet" / "half.safetensors").touch()
    (tmp_path / "stable_diffusion" / "vaes" / "half.safetensors").touch()
    nets = furnished.get("/controlnets", params={"details": True}).json()["controlnets"]
    assert {one["name"]: one["family"] for one in nets} == {
        "control_v11p_sd15_canny": "sd1",
        "half": None,
        "my-own-net": "sd1",
        "xl_canny": "sdxl",
    }
    assert [one["name"] for one in nets if one["problem"]] == ["half"]
    vaes = furnished.get("/vaes", params={"details": True}).json()["vaes"]
    assert [(one["name"], one["problem"] is None) for one in vaes] == [
        ("half", False),
        ("sharp", True),
        ("sharp-xl", True),
    ]


def test_vaes_and_embeddings_are_listed(furnished: TestClient) -> None:
    assert furnished.get("/vaes").json() == {
        "status": "success",
        "vaes": [{"name": "sharp"}, {"name": "sharp-xl"}],
    }
    assert furnished.get("/embeddings").json() == {"status": "success", "embeddings": [{"name": "midnight"}]}


def test_hints_say_what_is_missing(furnished: TestClient, tmp_path: Path) -> None:
    def hints() -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in furnished.get("/hints").json()["hints"]}

    found = hints()
    assert found["canny"] == {"name": "canny", "ready": True, "problem": None}
    assert found["openpose"]["ready"] is False
    assert "body_pose_model.pth" in found["openpose"]["problem"]
    file = tmp_path / "stable_diffusion" / "hints" / "body_pose_model.pth"
    file.parent.mkdir(parents=True)
    file.touch()
    assert hints()["openpose"]["ready"] is True
