"""Models with a UNet made for inpainting, in every layout, for every kind of request."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest
import torch

from diffusionapi.core.request import Hires, Mask, Source
from diffusionapi.engine import autoencoder
from diffusionapi.engine.models.load import load
from diffusionapi.errors import BrokenModel
from diffusionapi.weights.families import HOLE_CHANNELS
from diffusionapi.weights.inspection import inspect
from tests import miniatures
from tests.engine.rendering import a_mask, a_photo, make_engine, make_house, picture, render, run, upload
from tests.factories import a_request

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.engine.denoiser import Call
    from diffusionapi.engine.running import DiffusionEngine
    from diffusionapi.settings import Settings

CPU = torch.device("cpu")
FAMILIES = {"sd1": "sd1", "sd2-base": "sd2", "sdxl": "sdxl"}
BOX = (16, 16, 48, 40)


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    return miniatures.make_inpainting(request.param, root / f"{request.param}-inpainting")


@pytest.fixture(scope="module")
def sd1_inpainting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return miniatures.make_inpainting("sd1", tmp_path_factory.mktemp("models") / "inpainting")


def inpainting(house: Settings) -> Source:
    mask = Mask(upload(house, a_mask(64, 64, BOX)), 0, False, "original", only_masked=False, padding=0)
    return Source(upload(house, a_photo(64, 64)), 0.8, "stretch", mask)


def test_every_layout_tells_what_it_is_and_holds_the_same_weights(folder: Path, tmp_path: Path) -> None:
    layouts = [
        folder,
        miniatures.as_checkpoint(folder, tmp_path / "one.safetensors"),
        miniatures.as_hub_cache(folder, tmp_path, "people/inpainting"),
    ]
    family = FAMILIES[folder.name.removesuffix("-inpainting")]
    whole = load(folder, CPU, torch.float32).unet.state_dict()
    for layout in layouts:
        found = inspect(layout)
        assert (found.family, found.in_channels) == (family, HOLE_CHANNELS)
        model = load(layout, CPU, torch.float32)
        assert model.paints_holes
        state = model.unet.state_dict()
        assert state["conv_in.weight"].shape[1] == HOLE_CHANNELS
        assert all(torch.equal(state[name], one) for name, one in whole.items())


def test_half_precision_files_are_read_too(folder: Path, tmp_path: Path) -> None:
    half = miniatures.as_half(folder, tmp_path / "half")
    assert load(half, CPU, torch.float16).paints_holes


def test_ordinary_models_take_latents_alone(
    sd1_folder: Path, engine: DiffusionEngine, asked: list[list[Call]]
) -> None:
    assert inspect(sd1_folder).in_channels == 4
    assert not load(sd1_folder, CPU, torch.float32).paints_holes
    render(engine, model="sd1", steps=1)
    assert [one.channels for one in chain(*asked)] == [None]


@pytest.mark.parametrize(("channels", "kind"), [(5, "a depth model"), (8, "InstructPix2Pix"), (6, "unknown")])
def test_other_kinds_of_models_are_told_by_name(tmp_path: Path, channels: int, kind: str) -> None:
    folder = miniatures.make("sd1", tmp_path / "other", seed=1, unet={"in_channels": channels})
    file = miniatures.as_checkpoint(folder, tmp_path / "other.safetensors")
    for layout in (folder, file):
        with pytest.raises(BrokenModel, match=kind):
            inspect(layout)


def test_it_is_told_the_mask_and_the_picture_without_what_is_masked(
    folder: Path, tmp_path: Path, asked: list[list[Call]]
) -> None:
    house = make_house(tmp_path, {"mini": folder})
    made = render(make_engine(house), model="mini", steps=3, source=inpainting(house))
    told = asked[0][0].channels
    assert told is not None
    hole = torch.zeros(8, 8)
    hole[2:5, 2:6] = 1
    assert torch.equal(told[0], hole)
    assert all(one.channels is not None and torch.equal(one.channels, told) for one in chain(*asked))
    hidden = a_photo(64, 64)
    hidden.paste((127, 127, 127), BOX)  # grey is 0, nearly
    model = load(folder, CPU, torch.float32)
    with torch.inference_mode():
        assert torch.allclose(told[1:], autoencoder.encode(model, hidden), atol=2e-2)
    outside, photo = made.convert("RGB"), a_photo(64, 64)
    for one in (outside, photo):
        one.paste("black", BOX)
    assert outside.tobytes() == photo.tobytes()


def test_from_words_alone_it_paints_everything(
    sd1_inpainting: Path, tmp_path: Path, asked: list[list[Call]]
) -> None:
    engine = make_engine(make_house(tmp_path, {"mini": sd1_inpainting}))
    hires = Hires(1.5, "Latent", 2, 0.6)
    events = run(engine, it=a_request(model="mini", steps=3, hires=hires))["it"]
    assert picture(events).size == (96, 96)
    for call in chain(*asked):
        assert call.channels is not None
        assert call.channels.shape[-2:] == call.x.shape[-2:]
        assert bool((call.channels[0] == 1).all())


def test_from_a_picture_without_a_mask_it_may_change_everything(
    sd1_inpainting: Path, tmp_path: Path, asked: list[list[Call]]
) -> None:
    house = make_house(tmp_path, {"mini": sd1_inpainting})
    source = Source(upload(house, a_photo(64, 64)), 0.5, "stretch", None)
    render(make_engine(house), model="mini", steps=4, source=source)
    assert all(one.channels is not None and bool((one.channels[0] == 1).all()) for one in chain(*asked))


def test_it_shares_calls_with_its_like(sd1_inpainting: Path, tmp_path: Path, asked: list[list[Call]]) -> None:
    house = make_house(tmp_path, {"mini": sd1_inpainting})
    engine = make_engine(house)
    requests = {
        "words": a_request(model="mini", steps=3, seed=1),
        "hole": a_request(model="mini", steps=4, seed=2, source=inpainting(house)),
    }
    together = run(engine, **requests)
    assert len(list(chain(*asked))) > len({id(one.channels) for one in chain(*asked)}) == 2
    for name, request in requests.items():
        alone = picture(run(engine, it=request)["it"])
        pairs = zip(picture(together[name]).tobytes(), alone.tobytes(), strict=True)
        assert max(abs(one - other) for one, other in pairs) <= 2
