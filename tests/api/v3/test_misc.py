"""Single pictures: cut, deleted, checked; and models that are wished for."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageOps

from diffusionapi.core.events import Failed, Failure, Finished, Picture, Sampled, Started
from tests.api.v3.house import FAILED, NO_REQUEST, House, Json, a_png, as_base64, opened
from tests.api.v3.teaching import a_house, neighbour, refusal
from tests.intake.pictures import a_file
from tests.server import wait_until
from tests.stubs import a_file as a_stub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.core.events import Event


# --- cut ----------------------------------------------------------------------------------------------------


def test_a_picture_is_cut_to_its_middle_and_kept_under_a_link(idle: House) -> None:
    """Compared with what Pillow makes of it."""
    picture = Image.linear_gradient("L").resize((900, 600)).convert("RGB")
    answer = idle.ask("/api/v3/base64_crop", image=as_base64(a_file(picture)), crop="true")
    assert (answer["status"], answer["messege"]) == ("success", "image uploaded")
    kept = idle.picture(answer["link"])
    assert kept.tobytes() == ImageOps.fit(picture, (512, 512), Image.Resampling.LANCZOS).tobytes()


@pytest.mark.parametrize("fields", [{}, {"crop": "false"}, {"crop": "no"}])
def test_a_picture_is_kept_as_it_is(idle: House, fields: dict[str, str]) -> None:
    data_url = "data:image/png;base64," + as_base64(a_png(90, 60))
    answer = idle.ask("/api/v3/base64_crop", image=data_url, **fields)
    assert idle.picture(answer["link"]).size == (90, 60)


def test_what_was_cut_is_a_picture_to_begin_with(house: House) -> None:
    link = house.ask("/api/v3/base64_crop", image=as_base64(a_png()), crop="yes")["link"]
    made = house.make("/api/v3/img2img", init_image=link, strength=0, num_inference_steps=1)
    assert made["status"] == "success"
    assert house.picture(made["output"][0]).getpixel((5, 5)) == opened(a_png()).getpixel((5, 5))


def test_what_is_no_picture_is_not_cut(idle: House) -> None:
    assert list(refusal(idle.ask("/api/v3/base64_crop", image="no picture"))) == ["image"]
    assert refusal(idle.ask("/api/v3/base64_crop")) == {"image": ["The image field is required."]}


# --- deleted ------------------------------------------------------------------------------------------------


def test_the_pictures_of_a_request_are_deleted_by_its_id(house: House) -> None:
    made = house.make(samples=2, num_inference_steps=2)
    answer = house.ask("/api/v3/delete_image", request_id=str(made["id"]))
    assert (answer["status"], answer["messege"]) == ("success", "image deleted")
    assert [house.client.get(url).status_code for url in made["output"]] == [404, 404]
    assert house.ask(f"/api/v3/fetch/{made['id']}") == NO_REQUEST


@pytest.mark.parametrize("whole", [True, False])
def test_one_picture_is_deleted_by_its_name_or_its_url(house: House, whole: bool) -> None:
    made = house.make(samples=2, num_inference_steps=2)
    first, second = made["output"]
    answer = house.ask("/api/v3/delete_image", image=second if whole else second.rpartition("/")[2])
    assert answer["messege"] == "image deleted"
    assert [house.client.get(url).status_code for url in (first, second)] == [200, 404]
    assert refusal(house.ask("/api/v3/delete_image", image=second)) == "Image not found"


def test_pictures_of_another_key_are_not_deleted(house: House) -> None:
    made = house.make(num_inference_steps=2)
    (url,) = made["output"]
    assert refusal(neighbour(house).ask("/api/v3/delete_image", image=url)) == "Image not found"
    assert neighbour(house).ask("/api/v3/delete_image", request_id=made["id"]) == NO_REQUEST
    assert house.client.get(url).status_code == 200


@pytest.mark.parametrize("image", ["none", "/etc/passwd", f"{'0' * 8}-0000-0000-0000-{'0' * 12}-0.png"])
def test_a_picture_that_never_was_is_not_found(idle: House, image: str) -> None:
    answer = idle.ask("/api/v3/delete_image", image=image)
    assert refusal(answer) == answer["messege"] == "Image not found"


def test_what_is_not_finished_is_taken_back(idle: House) -> None:
    waiting = idle.make(samples=2)
    answer = idle.ask("/api/v3/delete_image", request_id=waiting["id"])
    assert (answer["status"], answer["messege"]) == ("success", "request cancelled")
    assert idle.ask(f"/api/v3/fetch/{waiting['id']}")["tip"] == "The request was cancelled"


def test_something_has_to_be_named(idle: House) -> None:
    assert refusal(idle.ask("/api/v3/delete_image")) == {"image": ["The image field is required."]}


# --- checked ------------------------------------------------------------------------------------------------


def a_checker(folder: Path) -> None:
    """One that passes every look; the fake engine takes it for one that it can ask."""
    place = folder / "stable_diffusion/safety_checker"
    a_stub(place / "model.safetensors", {})
    (place / "config.json").write_text("{}")


@contextmanager
def a_look_that_waits(house: House, width: int, height: int) -> Iterator[list[Json]]:
    """While somebody asks about a picture, and nobody has looked at it yet; the answer at the end."""
    told: list[Json] = []
    picture = as_base64(a_png(width, height))
    asking = threading.Thread(
        target=lambda: told.append(house.ask("/api/v3/nsfw_image_check", init_image=picture))
    )
    asking.start()
    wait_until(lambda: any(house.service.store.living()), 30)
    yield told
    asking.join(30)


def test_a_picture_is_checked_and_nothing_is_left_of_that(tmp_path: Path) -> None:
    a_checker(tmp_path)
    with a_house(tmp_path) as house:
        answer = house.ask("/api/v3/nsfw_image_check", init_image=as_base64(a_png(90, 60)))
        assert list(answer) == ["images", "has_nsfw_concept"]
        assert answer["has_nsfw_concept"] == [False]
        assert house.picture(answer["images"]).size == (90, 60)
        assert house.service.store.ended(before=2**33) == []
    assert not list((tmp_path / "outputs").iterdir())


def test_a_picture_by_its_url_is_told_by_it(tmp_path: Path) -> None:
    a_checker(tmp_path)
    with a_house(tmp_path) as house:
        (url,) = house.make(num_inference_steps=2)["output"]
        assert house.ask("/api/v3/nsfw_image_check", init_image=url)["images"] == url


@pytest.mark.parametrize(
    ("sampled", "failure", "answer"),
    [
        (Sampled("Euler", "default", 0, 0, checked=True, flagged=True), "", [True]),
        (None, "The model is broken", FAILED | {"tip": "The model is broken"}),
    ],
)
def test_what_the_checker_says_is_the_answer(
    tmp_path: Path, sampled: Sampled | None, failure: str, answer: object
) -> None:
    """Told here by a worker that has no engine."""
    end: Event = Failed(Failure("generation_failed", failure))
    if sampled is not None:
        end = Finished(Picture("a.png", "png", 64, 64, None, 0, "fake", 0.1, 0, 0, sampled))
    a_checker(tmp_path)
    with a_house(tmp_path, workers=0) as house, a_look_that_waits(house, 64, 64) as told:
        claim = house.service.store.claim()
        assert claim is not None
        request = claim.ticket.generation
        assert request.source is not None
        assert (request.source.strength, request.safety) == (0.0, "required")
        claim.record(Started(1, "test"))
        claim.record(end)
        claim.release()
    (found,) = told
    assert (found["has_nsfw_concept"] if sampled else found) == answer


def test_without_a_checker_the_answer_says_so(idle: House) -> None:
    answer = idle.ask("/api/v3/nsfw_image_check", init_image=as_base64(a_png()))
    assert refusal(answer) == "No safety checker is installed on this server"


@pytest.mark.parametrize(
    ("size", "shown"), [((1024, 512), (512, 256)), ((40, 3000), (64, 512)), ((90, 64), (88, 64))]
)
def test_the_checker_sees_the_whole_picture(
    tmp_path: Path, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    a_checker(tmp_path)
    with a_house(tmp_path, workers=0) as house, a_look_that_waits(house, *size):
        (ticket,) = house.service.store.living()
        assert (ticket.generation.width, ticket.generation.height) == shown
        house.service.store.cancel(ticket.id)


# --- wished for ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("category", "name"),
    [
        ("stable_diffusion", "mini"),
        ("stable_diffusion_xl", "large"),
        ("stable_diffusion", "F5jvdzGnYi"),
        ("lora", "ink"),
        ("embeddings", "midnight"),
        ("controlnet", "my-own-net"),
        ("vae", "sd-vae-ft-mse"),
    ],
)
def test_what_is_installed_is_there(idle: House, category: str, name: str) -> None:
    fields = {"url": "https://example.com/x", "force_load": "yes", "revision": "fp16", "hf_upload": "no"}
    answer = idle.ask("/api/v3/load_model", model_id=name, model_category=category, **fields)
    assert answer == {"status": "success", "message": "model load started"}


@pytest.mark.parametrize("category", ["stable_diffusion", "lora", "embeddings", "controlnet", "vae"])
def test_what_is_not_installed_is_not_fetched_and_the_answer_says_who_can(idle: House, category: str) -> None:
    answer = idle.ask("/api/v3/load_model", model_id="nothing", model_category=category)
    assert refusal(answer) == "Model id not found"
    assert "diffusionapi.models pull" in answer["tip"]
    assert refusal(idle.ask("/api/v3/load_model")) == "Model id not found"
