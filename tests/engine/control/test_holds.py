"""How a ControlNet goes along with all else: files, passes, refiners, masks, neighbours, small devices."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch
from diffusers import ControlNetModel
from PIL import Image

from diffusionapi.core.request import Control, Hires, Mask, Refiner, Source
from diffusionapi.engine.control.nets import load
from diffusionapi.engine.models.cache import Kind, ModelCache
from diffusionapi.engine.models.load import load as load_model
from diffusionapi.weights import controlnets
from tests import miniatures
from tests.engine.control import nets
from tests.engine.rendering import (
    a_mask,
    a_photo,
    latents_of,
    make_engine,
    make_house,
    pixels,
    render,
    run,
    upload,
)
from tests.engine.test_against_diffusers import distance
from tests.factories import a_request

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.engine.denoiser import Call
    from diffusionapi.settings import Settings

CPU = torch.device("cpu")


@pytest.fixture
def house(tmp_path: Path, sd1_folder: Path) -> Settings:
    """Two nets for SD 1, `lines` and `depth`."""
    for seed, name in enumerate(("lines", "depth")):
        nets.make(sd1_folder, tmp_path / "stable_diffusion" / "controlnet" / name, seed=seed)
    return make_house(tmp_path, {"sd1": sd1_folder})


def control(house: Settings, net: str = "lines", hint: str = "none", **more: Any) -> Control:
    used: dict[str, Any] = {"scale": 1.0, "start": 0.0, "end": 1.0, "guess": False} | more
    return Control(net, upload(house, a_photo(64, 64)), hint, **used)


def asked_for(**fields: Any) -> dict[str, Any]:
    return {"model": "sd1", "steps": 4, "schedule": "default", **fields}


@pytest.mark.parametrize("family", ["sd1", "sd2"])
def test_the_files_that_people_share_hold_the_same_net(
    request: pytest.FixtureRequest, tmp_path: Path, family: str
) -> None:
    folder = nets.make(request.getfixturevalue(f"{family}_folder"), tmp_path / "net")
    expected = nets.weights(folder)
    for path in (
        folder,
        nets.as_file(folder, tmp_path / "diffusers.safetensors"),
        nets.as_original(folder, tmp_path / "original.safetensors"),
        nets.as_original(folder, tmp_path / "bare.safetensors", prefix=""),
    ):
        net = load(path, CPU, torch.float32)
        state = net.network.state_dict()
        assert state.keys() == expected.keys()
        assert all(torch.equal(state[name], one) for name, one in expected.items())
        said, theirs = (dict(one.config) for one in (net.network, ControlNetModel.from_pretrained(folder)))
        for name in (
            "attention_head_dim",
            "down_block_types",
            "cross_attention_dim",
            "use_linear_projection",
        ):
            assert flat(said[name]) == flat(theirs[name])


def flat(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def test_a_hint_is_read_from_the_picture_at_the_size_that_is_painted(
    house: Settings, asked: list[list[Call]]
) -> None:
    photo = a_photo(120, 80)
    used = Control("lines", upload(house, photo), "canny", 1.0, 0.0, 1.0, False)
    render(make_engine(house), **asked_for(width=96, height=64, controls=(used,)))
    resized = np.asarray(photo.resize((96, 64), Image.Resampling.LANCZOS))
    expected = torch.from_numpy(cv2.Canny(resized, 100, 200) / 255).float()
    assert expected.any()
    assert all(torch.equal(channel, expected) for channel in asked[0][0].controls[0].hint)


def test_the_second_pass_is_held_at_its_size(house: Settings, asked: list[list[Call]]) -> None:
    hires = Hires(1.5, "Latent", 3, 0.5)
    render(make_engine(house), **asked_for(hires=hires, controls=(control(house),)))
    shown = [calls[0].controls[0].hint for calls in asked]
    assert [tuple(one.shape) for one in shown] == [(3, 64, 64)] * 4 + [(3, 96, 96)] * 3
    larger = torch.nn.functional.interpolate(shown[0][None], (96, 96), mode="bicubic")[0]
    assert (larger - shown[-1]).abs().mean() < 0.02


def test_the_refiner_is_not_held(
    tmp_path: Path, sdxl_folder: Path, refiner_folder: Path, asked: list[list[Call]]
) -> None:
    nets.make(sdxl_folder, tmp_path / "stable_diffusion" / "controlnet" / "lines")
    house = make_house(tmp_path, {"sdxl": sdxl_folder, "refiner": refiner_folder})
    fields = {"model": "sdxl", "refiner": Refiner("refiner", 0.5), "controls": (control(house),)}
    render(make_engine(house), **(asked_for() | fields))
    held = [(calls[0].weights.model.family, len(calls[0].controls)) for calls in asked]
    assert set(held) == {("sdxl", 1), ("refiner", 0)}


def test_a_net_for_inpainting_is_shown_the_hole(house: Settings, asked: list[list[Call]]) -> None:
    photo = a_photo(64, 64)
    mask = Mask(upload(house, a_mask(64, 64, (16, 8, 48, 40))), 0, False, "original", False, 0)
    used = Control("lines", upload(house, photo), "inpaint", 1.0, 0.0, 1.0, False)
    source = Source(upload(house, photo), 0.9, "stretch", mask)
    render(make_engine(house), **asked_for(source=source, controls=(used,)))
    expected = torch.from_numpy(np.asarray(photo) / 255).float().permute(2, 0, 1).clone()
    expected[:, 8:40, 16:48] = -1.0
    assert torch.equal(asked[0][0].controls[0].hint, expected)


def test_without_a_mask_there_is_no_hole_to_show(house: Settings) -> None:
    used = control(house, hint="inpaint")
    told = run(make_engine(house), it=a_request(**asked_for(controls=(used,))))["it"]
    assert told[-1].kind == "failed"
    assert told[-1].failure.sentence == "controls: the hint 'inpaint' needs a source with a mask"


def test_where_only_a_part_is_painted_the_net_is_shown_that_part(
    house: Settings, asked: list[list[Call]]
) -> None:
    """The upper left quarter, at twice its size."""
    photo, lines = a_photo(64, 64), a_photo(64, 64, seed=4)
    mask = Mask(upload(house, a_mask(64, 64, (0, 0, 32, 32))), 0, False, "original", True, 0)
    used = Control("lines", upload(house, lines), "none", 1.0, 0.0, 1.0, False)
    source = Source(upload(house, photo), 0.9, "stretch", mask)
    render(make_engine(house), **asked_for(source=source, controls=(used,)))
    part = lines.crop((0, 0, 32, 32)).resize((64, 64), Image.Resampling.LANCZOS)
    assert np.allclose(asked[0][0].controls[0].hint.permute(1, 2, 0) * 255, pixels(part), atol=0.01)


def test_pictures_side_by_side_are_what_they_are_alone(
    house: Settings, asked: list[list[Call]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One net of different scales in one call, another net in its own; in guess mode, too."""
    requests = {
        "strong": a_request(**asked_for(controls=(control(house, scale=1.2),), seed=1)),
        "weak": a_request(**asked_for(controls=(control(house, scale=0.3),), seed=2)),
        "other": a_request(**asked_for(controls=(control(house, "depth"),), seed=3)),
        "free": a_request(**asked_for(seed=4)),
        "guess": a_request(**asked_for(controls=(control(house, guess=True),), seed=5)),
        "guess too": a_request(**asked_for(controls=(control(house, guess=True, scale=0.5),), seed=6)),
    }
    seen = latents_of(monkeypatch)
    engine = make_engine(house, capacity=len(requests))
    alone = {}
    for name, request in requests.items():
        run(engine, it=request)
        alone[name] = seen[-1]
    asked.clear()
    seen.clear()
    run(engine, **requests)
    assert sorted(len(calls) for calls in asked[:4]) == [1, 1, 2, 2]
    for name, latents in alone.items():
        assert min(distance(one, latents) for one in seen) < 1e-4, name


def test_after_its_end_a_net_costs_nothing(house: Settings, asked: list[list[Call]]) -> None:
    requests = {
        "held": a_request(**asked_for(controls=(control(house, end=0.5),), seed=1)),
        "free": a_request(**asked_for(seed=2)),
    }
    run(make_engine(house), **requests)
    shared = [calls for calls in asked if len(calls) == 2]
    assert shared
    assert all(not call.controls for calls in shared for call in calls)


@pytest.mark.parametrize("sampler", ["DPM adaptive", "DPM fast", "UniPC", "DPM++ SDE"])
def test_samplers_that_count_otherwise_hear_it_for_half_of_the_way(
    house: Settings, asked: list[list[Call]], sampler: str
) -> None:
    used = control(house, end=0.5)
    schedule = "own" if sampler in ("UniPC", "DPM adaptive", "DPM fast") else "karras"
    fields = {"sampler": sampler, "schedule": schedule, "steps": 8, "controls": (used,)}
    render(make_engine(house), **(asked_for() | fields))
    held = [bool(calls[0].controls) for calls in asked]
    assert held == sorted(held, reverse=True)
    assert 0 < sum(held) < len(held)


@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_on_a_small_device_the_picture_is_the_same(
    house: Settings, offload: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = latents_of(monkeypatch)
    fields = asked_for(steps=2, controls=(control(house), control(house, "depth", guess=True)))
    for settings in (house, house.model_copy(update={"offload": offload})):
        render(make_engine(settings), **fields)
    assert torch.equal(*seen)


def test_half_precision_goes_all_the_way(house: Settings) -> None:
    half = house.model_copy(update={"precision": "bf16"})
    painted = render(make_engine(half), **asked_for(controls=(control(house, guess=True),)))
    assert pixels(painted).std() > 1


def test_a_net_of_another_family_is_refused_by_the_engine_too(tmp_path: Path, sd1_folder: Path) -> None:
    other = miniatures.make_sd2(tmp_path / "sd2")
    nets.make(other, tmp_path / "stable_diffusion" / "controlnet" / "lines")
    house = make_house(tmp_path, {"sd1": sd1_folder})
    told = run(make_engine(house), it=a_request(**asked_for(controls=(control(house),))))["it"]
    assert told[-1].kind == "failed"
    expected = "controls: 'lines' was made for SD 2.x, and the model is SD 1.x"
    assert told[-1].failure.sentence == expected


def test_nets_take_their_place_beside_models(sd1_folder: Path, tmp_path: Path) -> None:
    """Within one bound; what is in use stays."""
    first, second = (nets.make(sd1_folder, tmp_path / name) for name in ("first", "second"))
    kind = Kind(
        partial(load, device=CPU, dtype=torch.float32),
        lambda path: controlnets.inspect(path).parameters,
        lambda path: controlnets.weight_files(path, half=False),
    )
    size = load(first, CPU, torch.float32).bytes
    model = load_model(sd1_folder, CPU, torch.float32).bytes
    cache = ModelCache(
        partial(load_model, device=CPU, dtype=torch.float32),
        device=CPU,
        dtype=torch.float32,
        device_bytes=model + size + 2**20,
    )
    cache.get(sd1_folder)
    one = cache.fetch(kind, first, keep={sd1_folder})
    assert cache.fetch(kind, first) is one
    cache.fetch(kind, second, keep={sd1_folder})
    assert cache.loaded == [sd1_folder, second]
