"""What is painted on, and that what comes back is the source wherever nothing was to be painted."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from diffusionapi.blobs.folder import FolderUploads
from diffusionapi.core.request import Hires, Mask, Source
from diffusionapi.engine.img2img.canvas import prepare
from diffusionapi.errors import BadRequest, UnknownPicture
from tests.engine.rendering import a_mask, a_photo
from tests.factories import a_request

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.engine.img2img.canvas import Canvas

PHOTO = a_photo(96, 64)
BOX = (32, 16, 64, 48)
PAINT = Image.new("RGB", (96, 64), (0, 255, 0))


class Studio:
    def __init__(self, folder: Path) -> None:
        self.uploads = FolderUploads(folder)

    def put(self, picture: Image.Image) -> str:
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return self.uploads.put(buffer.getvalue())

    def canvas(self, photo: Image.Image = PHOTO, mask: Image.Image | None = None, **how: Any) -> Canvas:
        """`how`: of the source, the mask or the request."""
        given = {"blur": 0.0, "invert": False, "fill": "original", "only_masked": False, "padding": 0}
        given |= {"strength": 0.75, "resize": "stretch", "width": photo.width, "height": photo.height} | how
        asked = None
        if mask is not None:
            names = ("blur", "invert", "fill", "only_masked", "padding")
            asked = Mask(self.put(mask), **{name: given[name] for name in names})  # type: ignore[arg-type]
        source = Source(self.put(photo), given["strength"], given["resize"], asked)  # type: ignore[arg-type]
        made = prepare(a_request(source=source, width=given["width"], height=given["height"]), self.uploads)
        assert made is not None
        return made


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def pixels(picture: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(picture, dtype=int)


def changed(result: Image.Image, source: Image.Image) -> tuple[int, int, int, int] | None:
    """The box around all pixels that differ."""
    difference = (pixels(result) != pixels(source)).any(axis=-1)
    return Image.fromarray(difference).getbbox()


def test_without_a_source_there_is_no_canvas(studio: Studio) -> None:
    assert prepare(a_request(), studio.uploads) is None


def test_without_a_mask_everything_is_painted(studio: Studio) -> None:
    canvas = studio.canvas()
    assert canvas.finished(PAINT) is PAINT
    assert canvas.paints


def test_outside_of_the_mask_the_result_is_the_source_and_inside_it_is_not(studio: Studio) -> None:
    result = studio.canvas(mask=a_mask(96, 64, BOX)).finished(PAINT)
    assert changed(result, PHOTO) == BOX
    assert changed(result.crop(BOX), PAINT.crop(BOX)) is None


def test_an_inverted_mask_paints_the_rest(studio: Studio) -> None:
    result = studio.canvas(mask=a_mask(96, 64, BOX), invert=True).finished(PAINT)
    assert changed(result.crop(BOX), PHOTO.crop(BOX)) is None
    assert changed(result, PAINT) == BOX


def test_a_blur_fades_around_what_is_painted_and_reaches_no_farther_than_three_times_its_width(
    studio: Studio,
) -> None:
    result = studio.canvas(mask=a_mask(96, 64, BOX), blur=2.0).finished(PAINT)
    left, top, right, bottom = changed(result, PHOTO) or (0, 0, 0, 0)
    assert BOX[0] - 7 <= left < BOX[0]
    assert BOX[1] - 7 <= top < BOX[1]
    assert BOX[2] < right <= BOX[2] + 7
    assert BOX[3] < bottom <= BOX[3] + 7
    inner = (BOX[0] + 3, BOX[1] + 3, BOX[2] - 3, BOX[3] - 3)
    assert changed(result.crop(inner), PAINT.crop(inner)) is None


def test_a_mask_of_another_size_lies_over_all_of_the_source(studio: Studio) -> None:
    result = studio.canvas(mask=a_mask(48, 32, (16, 8, 32, 24))).finished(PAINT)
    left, top, right, bottom = changed(result, PHOTO) or (0, 0, 0, 0)
    assert abs(left - 32) <= 1
    assert abs(top - 16) <= 1
    assert abs(right - 64) <= 1
    assert abs(bottom - 48) <= 1


@pytest.mark.parametrize("resize", ["stretch", "crop", "fill"])
def test_the_mask_is_resized_as_the_source_is(studio: Studio, resize: str) -> None:
    drawn = Image.new("RGB", (96, 64))
    drawn.paste("white", BOX)
    canvas = studio.canvas(drawn, a_mask(96, 64, BOX), resize=resize, width=80, height=120)
    assert canvas.picture.size == (80, 120)
    assert canvas.mask is not None
    assert np.abs(pixels(canvas.mask) - pixels(canvas.picture.convert("L"))).mean() < 3


# --- the masked region alone -----------------------------------------------------------------------------


def test_the_region_is_painted_at_full_size_and_the_result_is_as_large_as_the_source(studio: Studio) -> None:
    canvas = studio.canvas(mask=a_mask(96, 64, BOX), only_masked=True, width=128, height=128)
    assert canvas.region == BOX
    assert canvas.picture.size == (128, 128)
    assert canvas.picture.tobytes() == PHOTO.crop(BOX).resize((128, 128), Image.Resampling.LANCZOS).tobytes()
    result = canvas.finished(Image.new("RGB", (128, 128), (0, 255, 0)))
    assert changed(result, PHOTO) == BOX


def test_padding_shows_more_of_the_surroundings_and_does_not_paint_them(studio: Studio) -> None:
    canvas = studio.canvas(mask=a_mask(96, 64, BOX), only_masked=True, padding=8, width=128, height=128)
    assert canvas.region == (24, 8, 72, 56)
    assert changed(canvas.finished(Image.new("RGB", (128, 128), (0, 255, 0))), PHOTO) == BOX


@pytest.mark.parametrize(
    ("box", "size", "region"),
    [
        ((40, 20, 48, 44), (64, 64), (32, 20, 56, 44)),  # grown to both sides
        ((0, 20, 8, 44), (64, 64), (0, 20, 24, 44)),  # at an edge, to the other side
        ((90, 4, 96, 28), (64, 64), (72, 4, 96, 28)),
        ((32, 0, 64, 64), (128, 64), (0, 0, 96, 64)),  # as far as the picture goes
        ((40, 30, 56, 34), (128, 64), (40, 28, 56, 36)),
    ],
)
def test_the_region_takes_the_shape_that_is_painted(
    studio: Studio,
    box: tuple[int, int, int, int],
    size: tuple[int, int],
    region: tuple[int, int, int, int],
) -> None:
    canvas = studio.canvas(mask=a_mask(96, 64, box), only_masked=True, width=size[0], height=size[1])
    assert canvas.region == region
    assert changed(canvas.finished(Image.new("RGB", size, (0, 255, 0))), PHOTO) == box


def test_what_is_not_changed_comes_back_where_it_was(studio: Studio) -> None:
    """The region is out of shape at an edge, so it is filled up and cut again."""
    mask = a_mask(96, 64, (32, 0, 64, 64))
    canvas = studio.canvas(mask=mask, only_masked=True, width=256, height=128)
    result = canvas.finished(canvas.picture)
    assert np.abs(pixels(result) - pixels(PHOTO)).mean() < 3


def test_a_source_of_any_size_keeps_it(studio: Studio) -> None:
    photo = a_photo(101, 67)
    canvas = studio.canvas(photo, a_mask(101, 67, (50, 30, 60, 41)), only_masked=True, width=64, height=64)
    assert canvas.finished(canvas.picture).size == (101, 67)


# --- what the hole holds ---------------------------------------------------------------------------------


def test_surroundings_bleed_into_the_hole_and_nothing_of_it_is_left(studio: Studio) -> None:
    photo = Image.new("RGB", (96, 64), (200, 40, 40))
    photo.paste((0, 0, 255), BOX)
    canvas = studio.canvas(photo, a_mask(96, 64, BOX), fill="blurred")
    assert np.abs(pixels(canvas.picture) - (200, 40, 40)).max() < 8
    assert canvas.finished(canvas.picture).getpixel((0, 0)) == (200, 40, 40)


def test_near_surroundings_count_more(studio: Studio) -> None:
    photo = Image.new("RGB", (96, 64), (255, 0, 0))
    photo.paste((0, 0, 255), (48, 0, 96, 64))
    filled = pixels(studio.canvas(photo, a_mask(96, 64, BOX), fill="blurred").picture)
    assert filled[32, 34, 0] > filled[32, 34, 2]
    assert filled[32, 61, 2] > filled[32, 61, 0]


def test_a_hole_without_surroundings_is_grey(studio: Studio) -> None:
    filled = studio.canvas(mask=Image.new("L", (96, 64), 255), fill="blurred").picture
    assert set(filled.get_flattened_data()) == {(127, 127, 127)}


@pytest.mark.parametrize("fill", ["original", "noise", "blank"])
def test_what_is_filled_in_later_leaves_the_picture_as_it_is(studio: Studio, fill: str) -> None:
    assert changed(studio.canvas(mask=a_mask(96, 64, BOX), fill=fill).picture, PHOTO) is None


# --- nothing to do ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("only_masked", [False, True])
def test_a_mask_without_white_leaves_the_source_and_says_so(studio: Studio, only_masked: bool) -> None:
    canvas = studio.canvas(mask=Image.new("L", (96, 64)), only_masked=only_masked)
    assert not canvas.paints
    assert changed(canvas.whole, PHOTO) is None
    assert "no white" in canvas.notice


@pytest.mark.parametrize("mask", [None, a_mask(96, 64, BOX)])
def test_a_strength_of_0_leaves_the_source(studio: Studio, mask: Image.Image | None) -> None:
    canvas = studio.canvas(mask=mask, strength=0.0)
    assert not canvas.paints
    assert changed(canvas.whole, PHOTO) is None


def test_a_second_pass_is_refused_in_a_sentence(studio: Studio) -> None:
    source = Source(studio.put(PHOTO), 0.5, "stretch", None)
    with pytest.raises(BadRequest, match="no second pass"):
        prepare(a_request(source=source, hires=Hires(2.0, "Latent", 3, 0.5)), studio.uploads)


def test_a_source_that_is_gone_is_told(studio: Studio) -> None:
    gone = Source("00000000-0000-0000-0000-000000000000.png", 0.5, "stretch", None)
    with pytest.raises(UnknownPicture):
        prepare(a_request(source=gone), studio.uploads)
