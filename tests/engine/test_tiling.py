"""Pictures whose edges fit: against torch's circular padding, and the same picture begun elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from diffusionapi.core.request import Hires, Mask, Source
from diffusionapi.engine import autoencoder, recipe, self_attention
from diffusionapi.engine.engine import Rendered
from diffusionapi.engine.models.load import load
from diffusionapi.engine.samplers.noise import SeededNoise
from diffusionapi.engine.tiling import around, overlapped
from diffusionapi.engine.upscalers import image, wrapped
from tests.engine.rendering import a_mask, a_photo, pixels, render, run, upload
from tests.factories import a_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from diffusionapi.core.request import Tiling
    from diffusionapi.engine.denoiser import Call
    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.engine.running import DiffusionEngine
    from diffusionapi.settings import Settings

TILINGS: list[Tiling] = ["horizontal", "both"]
AXES = {"none": (), "horizontal": (-1,), "both": (-1, -2)}


@pytest.fixture
def model(sd1_folder: Path) -> LoadedModel:
    return load(sd1_folder, torch.device("cpu"), torch.float32)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rolled(x: Tensor, tiling: Tiling) -> Tensor:
    """Begun in the middle of the axes along which it goes round."""
    for axis in AXES[tiling]:
        x = x.roll(x.shape[axis] // 2, axis)
    return x


@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_go_round_as_those_of_torch_do(stride: int) -> None:
    x = noise(2, 3, 8, 12)
    plain = nn.Conv2d(3, 5, 3, stride=stride, padding=1)
    circular = nn.Conv2d(3, 5, 3, stride=stride, padding=1, padding_mode="circular")
    circular.load_state_dict(plain.state_dict())
    with torch.inference_mode():
        before = plain(x)
        with around("both"):
            assert torch.allclose(plain(x), circular(x), atol=1e-6)
        with around("horizontal"):
            strip = plain(x)
        assert torch.equal(plain(x), before)
        assert torch.allclose(strip[..., 1:-1, :], circular(x)[..., 1:-1, :], atol=1e-6)
        assert torch.allclose(strip[..., :, 1:-1], before[..., :, 1:-1], atol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize("tiling", TILINGS)
def test_no_part_of_a_model_knows_where_the_edges_were(model: LoadedModel, tiling: Tiling) -> None:
    latents, context = noise(1, 4, 16, 16), noise(1, 77, 32, seed=1)

    def parts(x: Tensor) -> Iterator[Tensor]:
        yield model.unet(x, 500, encoder_hidden_states=context).sample
        yield model.vae.decode(x).sample
        yield model.vae.encode(x[:, :3].repeat_interleave(8, -1).repeat_interleave(8, -2)).latent_dist.mode()

    for shown, again in zip(parts(latents), parts(rolled(latents, tiling)), strict=True):
        assert not torch.allclose(rolled(shown, tiling), again, atol=1e-3), "edges are seen otherwise"
    with around(tiling):
        for shown, again in zip(parts(latents), parts(rolled(latents, tiling)), strict=True):
            assert torch.allclose(rolled(shown, tiling), again, atol=1e-4)


def seam(picture: Image.Image) -> float:
    """How much more the last column differs from the first than neighbours do from each other."""
    levels = pixels(picture)
    steps = np.abs(levels - np.roll(levels, 1, 1)).mean(axis=(0, 2))
    # The VAE of a miniature shows its cells of 8 pixels, so an edge is compared with edges of cells.
    return float(steps[0] / steps[8::8].mean())


def test_a_panorama_has_no_seam(engine: DiffusionEngine) -> None:
    """A second pass at little strength leaves what is smooth smooth."""
    fields: dict[str, Any] = {"model": "sd1", "width": 128, "steps": 4, "hires": Hires(2.0, "Latent", 2, 0.5)}
    assert seam(render(engine, tiling="horizontal", **fields)) < 1.2
    assert seam(render(engine, **fields)) > 2


@pytest.mark.parametrize("way", ["plain", "guided", "hires", "hires by picture", "img2img"])
@pytest.mark.parametrize("tiling", TILINGS)
def test_a_tiled_picture_begun_elsewhere_is_the_same_picture(
    engine: DiffusionEngine, house: Settings, monkeypatch: pytest.MonkeyPatch, tiling: Tiling, way: str
) -> None:
    """With its noise rolled, a picture comes out rolled: nothing in it depends on where its edges are."""
    height = 128 if tiling == "both" else 64  # rolled by 8 cells: sides are halved thrice
    fields: dict[str, Any] = {"model": "sd1", "width": 128, "height": height, "steps": 3, "guidance": 3.0}
    photos = [a_photo(128, height)] * 2
    match way:
        case "guided":
            fields |= {"self_attention": 0.75}
        case "hires" | "hires by picture":
            upscaler = "Latent" if way == "hires" else "Lanczos"
            fields |= {"hires": Hires(2.0, upscaler, 2, 0.5)}
        case "img2img":
            photos[1] = begun_elsewhere(photos[0], tiling)

    class Rolled(SeededNoise):
        def next(self) -> Tensor:
            return rolled(super().next(), tiling)

    def paint(photo: Image.Image) -> Image.Image:
        source = Source(upload(house, photo), 0.6, "stretch", None) if way == "img2img" else None
        return render(engine, tiling=tiling, source=source, **fields)

    made = paint(photos[0])
    monkeypatch.setattr(recipe, "SeededNoise", Rolled)
    again = paint(photos[1])
    off = np.abs(pixels(begun_elsewhere(made, tiling)) - pixels(again))
    # What is enlarged as a picture has whole levels of colour in between.
    assert off.mean() < (2 if way == "hires by picture" else 0.01)


def begun_elsewhere(picture: Image.Image, tiling: Tiling) -> Image.Image:
    levels = torch.from_numpy(np.array(picture)).movedim(-1, 0)
    return Image.fromarray(rolled(levels, tiling).movedim(0, -1).numpy())


def test_an_untiled_picture_beside_a_tiled_one_is_unchanged_to_the_bit(
    engine: DiffusionEngine, asked: list[list[Call]]
) -> None:
    plain = a_request(model="sd1", steps=3)
    alone = run(engine, it=plain)["it"][-1]
    asked.clear()
    beside = run(engine, it=plain, tiled=a_request(model="sd1", steps=3, tiling="both"))["it"][-1]
    assert isinstance(alone, Rendered)
    assert isinstance(beside, Rendered)
    assert alone.content == beside.content
    assert [len(calls) for calls in asked] == [1] * 6, "they share no network call"


@torch.inference_mode()
@pytest.mark.parametrize("tiling", TILINGS)
def test_a_picture_in_tiles_goes_on_where_it_ends(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, tiling: Tiling
) -> None:
    """Tiles know nothing of the other edge; so what would follow the last column is the first."""
    monkeypatch.setattr(autoencoder, "_TILED_FROM", 64 * 64)
    monkeypatch.setattr(autoencoder, "_SMALL_TILE", 64)
    model.vae.tile_sample_min_size = 64
    latents = autoencoder.encode(model, a_photo(256, 192), tiling)
    assert latents.shape == (4, 24, 32)
    decoded = autoencoder.decode(model, latents, tiling)
    assert decoded.size == (256, 192)
    more = latents
    for axis in AXES[tiling]:
        more = torch.cat([more, more.narrow(axis, 0, 16)], axis)
    longer = pixels(autoencoder.decode(model, more))
    assert np.array_equal(pixels(decoded)[128:192, 0], longer[128:192, 256])
    assert np.array_equal(pixels(decoded)[128:192, 128:], longer[128:192, 128:256])
    if tiling == "both":
        assert np.array_equal(pixels(decoded)[0, 128:], longer[192, 128:256])


def test_what_is_made_in_pieces_has_no_edge() -> None:
    """A mean of nine with zeros beyond the edge: without more of the picture, edges are dark."""
    x = torch.ones(1, 1, 160, 240)
    mean = torch.full((1, 1, 3, 3), 1 / 9)
    assert nn.functional.conv2d(x, mean, padding=1).min() < 0.5
    made = overlapped(lambda one: nn.functional.conv2d(one, mean, padding=1), x, "both", 1.0)
    assert torch.allclose(made, x)
    y = noise(1, 1, 160, 240)
    assert torch.allclose(overlapped(doubled, y, "both", 2.0), doubled(y), atol=1e-6)


def doubled(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


@pytest.mark.parametrize("size", [(96, 128), (120, 88), (64, 64)])
def test_enlargements_go_on_beyond_the_edge(size: tuple[int, int]) -> None:
    """The middle of an enlarged picture is the edge of the same one begun elsewhere."""
    photo = a_photo(64, 64)
    large, other = (enlarged(one, size) for one in (photo, begun_elsewhere(photo, "horizontal")))
    assert np.abs(pixels(begun_elsewhere(large, "horizontal")) - pixels(other)).max() <= 1


def enlarged(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    work = wrapped.pictures(image.UPSCALERS["Lanczos"], "horizontal")(picture, size)
    try:
        while True:
            next(work)
    except StopIteration as end:
        made: Image.Image = end.value
        return made


@pytest.mark.parametrize("name", ["Latent", "Latent (bicubic antialiased)", "Latent (nearest-exact)"])
def test_latents_are_enlarged_beyond_the_edge(name: str) -> None:
    x = noise(4, 8, 12)
    larger = wrapped.latents(x, name, (192, 96), "both")
    again = wrapped.latents(rolled(x, "both"), name, (192, 96), "both")
    assert larger.shape == (4, 12, 24)
    assert torch.allclose(rolled(larger, "both"), again, atol=1e-5)


@torch.inference_mode()
def test_the_blur_of_self_attention_guidance_goes_round() -> None:
    x = noise(1, 4, 16, 24)
    assert torch.allclose(
        rolled(self_attention.blur(x, "both"), "both"),
        self_attention.blur(rolled(x, "both"), "both"),
        atol=1e-6,
    )


def test_the_masked_part_alone_is_not_tiled(engine: DiffusionEngine, house: Settings) -> None:
    mask = Mask(
        upload(house, a_mask(64, 64, (16, 16, 48, 40))), 0, False, "original", only_masked=True, padding=8
    )
    painted = Source(upload(house, a_photo(64, 64)), 0.6, "stretch", mask)
    events = run(engine, it=a_request(model="sd1", tiling="both", source=painted))["it"]
    assert "tiling" in str(events[-1])
