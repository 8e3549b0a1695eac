"""Pictures from pictures: what is begun from, what a mask keeps, and what the answers say of it."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from tests.api.v3.house import PICTURE, House, a_png, as_base64, opened
from tests.intake.listener import Listener, an_answer

IMG2IMG, INPAINT = "/api/v3/img2img", "/api/v3/inpaint"


def left_half(width: int = 64, height: int = 64) -> bytes:
    """A mask that is white on its left."""
    mask = Image.new("L", (width, height))
    mask.paste(255, (0, 0, width // 2, height))
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    return buffer.getvalue()


MASK = as_base64(left_half())


def test_defaults(idle: House) -> None:
    source = idle.asked(IMG2IMG, init_image=PICTURE).source
    assert source is not None
    assert (source.strength, source.resize, source.mask) == (0.7, "crop", None)


@pytest.mark.parametrize(("given", "meant"), [("0", 0.0), (1, 1.0), ("0.25", 0.25)])
def test_strength(idle: House, given: object, meant: float) -> None:
    source = idle.asked(IMG2IMG, init_image=PICTURE, strength=given).source
    assert source is not None
    assert source.strength == meant


def test_a_strength_out_of_bounds(idle: House) -> None:
    wrong = idle.wrong(IMG2IMG, init_image=PICTURE, strength=1.5)
    assert wrong == {"strength": ["The strength must be between 0 and 1."]}


def test_a_picture_may_be_a_url_a_data_url_or_base64(idle: House) -> None:
    with Listener({"/a.png": an_answer(a_png())}) as web:
        given = [f"{web.url}/a.png", f"data:image/png;base64,{PICTURE}", PICTURE]
        names = {idle.asked(IMG2IMG, init_image=one).uploads for one in given}
    pictures = {idle.service.intake.uploads.get(name) for (name,) in names}
    assert len(pictures) == 1


def test_a_picture_of_ours_is_taken_by_its_url(house: House) -> None:
    url = house.make()["output"][0]
    assert house.make(IMG2IMG, init_image=url)["status"] == "success"


def test_the_picture_is_cut_to_the_size_that_is_asked_for(house: House) -> None:
    answer = house.make(IMG2IMG, init_image=as_base64(a_png(100, 50)), width=128, height=96)
    assert house.picture(answer["output"][0]).size == (128, 96)


def test_a_strength_of_nothing_gives_the_picture_back(house: House) -> None:
    answer = house.make(IMG2IMG, init_image=PICTURE, strength=0)
    assert house.picture(answer["output"][0]).tobytes() == opened(a_png()).tobytes()


def test_white_is_painted_and_black_is_kept(house: House) -> None:
    answer = house.make(INPAINT, init_image=PICTURE, mask_image=MASK)
    made, given = house.picture(answer["output"][0]), opened(a_png())
    right = (32, 0, 64, 64)
    assert made.crop(right).tobytes() == given.crop(right).tobytes()
    assert made.crop((0, 0, 32, 64)).tobytes() != given.crop((0, 0, 32, 64)).tobytes()


def test_a_second_pass_is_refused_by_its_field(idle: House) -> None:
    assert list(idle.wrong(IMG2IMG, init_image=PICTURE, highres_fix="yes")) == ["highres_fix"]


def test_the_meta_of_img2img_is_that_of_words(house: House) -> None:
    from_words, from_picture = house.make()["meta"], house.make(IMG2IMG, init_image=PICTURE)["meta"]
    assert list(from_picture) == list(from_words)


def test_the_meta_of_inpaint(house: House) -> None:
    with Listener({"/a.png": an_answer(a_png()), "/mask.png": an_answer(left_half())}) as web:
        there = {"init_image": f"{web.url}/a.png", "mask_image": f"{web.url}/mask.png"}
        meta = house.make(
            INPAINT, **there, seed=5, strength="0.5", num_inference_steps="3", enhance_prompt="no"
        )["meta"]
    assert meta.pop("file_prefix")
    assert meta == there | {
        "H": 64,
        "W": 64,
        "guidance_scale": 7.5,
        "n_samples": 1,
        "negative_prompt": "",
        "outdir": "out",
        "prompt": "a lighthouse",
        "safetychecker": "yes",
        "safety_checker": "yes",
        "seed": 5,
        "steps": 3,
        "strength": 0.5,
    }


def test_a_picture_in_base64_is_not_sent_back_in_the_meta(idle: House) -> None:
    meta = idle.make(INPAINT, init_image=PICTURE, mask_image=MASK)["meta"]
    assert len(meta["init_image"]) < 50
    assert PICTURE.startswith(meta["init_image"].rstrip("…"))


def test_base64_in_and_out(house: House) -> None:
    (picture,) = house.make(IMG2IMG, init_image=PICTURE, base64="yes")["output"]
    assert opened(base64.b64decode(picture, validate=True)).size == (64, 64)
