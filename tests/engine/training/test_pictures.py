from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image

from diffusionapi.engine import autoencoder
from diffusionapi.engine.training.pictures import examples, shape, square, told
from diffusionapi.errors import BadRequest, PictureGone
from tests.engine.rendering import a_photo, upload
from tests.engine.training.lessons import a_training

if TYPE_CHECKING:
    from diffusionapi.engine.workshop import Workshop
    from diffusionapi.settings import Settings


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        ((512, 512), (512, 512)),
        ((3000, 3000), (512, 512)),
        ((100, 100), (512, 512)),
        ((1920, 1080), (640, 384)),
        ((1080, 1920), (384, 640)),
        ((800, 600), (576, 448)),
        ((9000, 100), (1024, 256)),
        ((10, 9000), (256, 1024)),
    ],
)
def test_a_picture_keeps_about_its_shape_and_no_more_pixels_than_the_square(
    picture: tuple[int, int], size: tuple[int, int]
) -> None:
    assert shape(picture, 512) == size


@pytest.mark.parametrize("size", [64, 100, 512, 768, 1000, 1024])
def test_sides_are_what_a_unet_can_halve(size: int) -> None:
    for picture in [(1, 1), (3, 2), (2, 3), (16, 9), (5, 1), (1, 7)]:
        width, height = shape(picture, size)
        assert width % 64 == height % 64 == 0
        assert 0 < width * height <= size * size


def test_less_than_the_least_size_is_refused() -> None:
    with pytest.raises(BadRequest, match="size: it has to be 64 at least"):
        square(63)


def test_examples_are_the_middle_of_the_pictures_encoded(workshop: Workshop, school: Settings) -> None:
    photo = a_photo(150, 128)
    request = a_training(pictures=(upload(school, photo),))
    with workshop.taught("sd1") as weights, torch.no_grad():
        (found,) = examples(request, workshop.uploads, weights.model)
        middle = photo.resize((64, 64), Image.Resampling.LANCZOS, box=(11, 0, 139, 128))
        expected = autoencoder.encode(weights.model, middle)
    assert found.prompt == "a photo of sks dog"
    assert torch.allclose(found.latents, expected, atol=1e-5)


def test_sdxl_is_told_what_became_of_the_picture(workshop: Workshop) -> None:
    with workshop.taught("sdxl") as weights:
        assert told(weights.model, (2000, 1000), (512, 512)) == (1000, 2000, 0, 256, 512, 512)
        assert told(weights.model, (512, 512), (512, 512)) == (512, 512, 0, 0, 512, 512)
    with workshop.taught("sd1") as weights:
        assert told(weights.model, (2000, 1000), (512, 512)) == ()


def test_a_picture_that_is_gone_is_told_by_its_number(workshop: Workshop, pictures: tuple[str, ...]) -> None:
    gone = "00000000-0000-4000-8000-000000000000.png"
    with workshop.taught("sd1") as weights:
        request = a_training(pictures=(pictures[0], gone))
        with pytest.raises(PictureGone, match="pictures: number 2 of 2 is gone"):
            list(examples(request, workshop.uploads, weights.model))
        with pytest.raises(BadRequest, match="pictures: there has to be one at least"):
            list(examples(a_training(), workshop.uploads, weights.model))
