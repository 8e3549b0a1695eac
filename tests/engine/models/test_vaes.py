"""A VAE in place of the model's own: every layout against diffusers' loading, and in pictures."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from diffusionapi.core.request import Hires, Source
from diffusionapi.engine.models.vaes import load
from diffusionapi.engine.workshop import Workshop
from diffusionapi.errors import BrokenModel
from tests import miniatures
from tests.engine.rendering import (
    a_photo,
    difference,
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

    from torch import Tensor

    from diffusionapi.settings import Settings

CPU = torch.device("cpu")
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The VAE of another miniature than those that paint here."""
    made = miniatures.make_sd1(tmp_path_factory.mktemp("other") / "other", seed=77)
    return made / "vae"


@pytest.fixture(scope="module")
def layouts(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same weights in all layouts that people share."""
    root = tmp_path_factory.mktemp("vaes")
    whole = miniatures.original_tensors(folder.parent)
    prefix = "first_stage_model."
    baked = {name: one.contiguous() for name, one in whole.items() if name.startswith(prefix)}
    save_file(baked, root / "baked.safetensors")
    save_file(
        {name.removeprefix(prefix): one.clone() for name, one in baked.items()}, root / "alone.safetensors"
    )
    shutil.copy(folder / WEIGHTS, root / "diffusers.safetensors")
    shutil.copytree(folder, root / "folder")
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    shutil.copytree(folder, root / "old")
    state = load_file(folder / WEIGHTS)
    for now, then in old.items():
        state = {name.replace(f".{now}.", f".{then}."): one for name, one in state.items()}
    save_file(state, root / "old" / WEIGHTS)
    return {one.stem: one for one in root.iterdir()}


@pytest.fixture
def house(tmp_path: Path, sd1_folder: Path, layouts: dict[str, Path]) -> Settings:
    return with_vaes(make_house(tmp_path, {"sd1": sd1_folder}), layouts)


def with_vaes(settings: Settings, layouts: dict[str, Path]) -> Settings:
    installed = settings.path(settings.vaes_dir)
    installed.mkdir(parents=True)
    for path in layouts.values():
        (installed / path.name).symlink_to(path)
    return settings


@torch.inference_mode()
@pytest.mark.parametrize("layout", ["folder", "old", "alone", "baked", "diffusers"])
def test_every_layout_is_the_network_that_diffusers_loads(
    layouts: dict[str, Path], folder: Path, layout: str
) -> None:
    loaded = load(layouts[layout], CPU, torch.float32)
    expected = AutoencoderKL.from_pretrained(folder).eval()
    state = expected.state_dict()
    assert all(torch.equal(one, state[name]) for name, one in loaded.vae.state_dict().items())
    assert loaded.bytes == sum(one.nbytes for one in state.values())
    assert loaded.scaling_factor == (0.18215 if layout in ("folder", "old") else None)
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(loaded.vae.decode(latents).sample, expected.decode(latents).sample, atol=1e-5)


def test_in_fp16_it_is_fp32_since_that_of_sdxl_overflows(layouts: dict[str, Path]) -> None:
    assert next(load(layouts["alone"], CPU, torch.float16).vae.parameters()).dtype == torch.float32
    assert next(load(layouts["alone"], CPU, torch.bfloat16).vae.parameters()).dtype == torch.bfloat16


def test_a_file_without_a_tensor_is_named(tmp_path: Path, layouts: dict[str, Path]) -> None:
    state = load_file(layouts["alone"])
    del state["decoder.mid.attn_1.q.weight"]
    save_file(state, tmp_path / "torn.safetensors")
    with pytest.raises(BrokenModel, match=r"torn.safetensors .*decoder.mid.attn_1.q.weight is missing"):
        load(tmp_path / "torn.safetensors", CPU, torch.float32)


def test_a_picture_is_decoded_with_it_and_else_the_same(
    house: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = latents_of(monkeypatch)
    engine = make_engine(house)
    own = render(engine, model="sd1")
    made = {name: render(engine, model="sd1", vae=name) for name in ("alone", "folder", "diffusers")}
    assert all(torch.equal(one, seen[0]) for one in seen), "the latents are the model's"
    theirs = AutoencoderKL.from_pretrained(folder).eval()
    with torch.inference_mode():
        decoded: Tensor = theirs.decode(seen[0][None] / 0.18215).sample[0]
    levels = (decoded / 2 + 0.5).clamp(0, 1).mul(255).round().permute(1, 2, 0).numpy()
    for one in made.values():
        assert np.abs(pixels(one) - levels).max() <= 1
    assert difference(own, made["alone"]) > 5
    assert render(engine, model="sd1").tobytes() == own.tobytes(), "the model keeps its own"


def test_what_a_picture_starts_from_is_encoded_with_it(
    house: Settings, folder: Path, sd1_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = latents_of(monkeypatch)
    photo = a_photo(64, 64)
    source = Source(upload(house, photo), 0.0001, "stretch", None)
    engine = make_engine(house)
    # Of a thousand steps the last is made, on next to no noise.
    fields = {"model": "sd1", "steps": 1000, "sampler": "Euler", "guidance": 1.0, "source": source}
    render(engine, vae="alone", **fields)
    render(engine, **fields)
    shown = torch.from_numpy(pixels(photo)).float().permute(2, 0, 1)[None] / 127.5 - 1
    with torch.inference_mode():
        theirs, own = (
            AutoencoderKL.from_pretrained(one).eval().encode(shown).latent_dist.mode()[0] * 0.18215
            for one in (folder, sd1_folder / "vae")
        )
    assert distance(seen[0] - seen[1], theirs - own) < 0.25  # the same noise is in both


def test_a_second_pass_goes_through_it_twice(house: Settings) -> None:
    engine = make_engine(house)
    hires = Hires(2.0, "Lanczos", 2, 0.5)
    one, other = (render(engine, model="sd1", hires=hires, vae=vae) for vae in (None, "alone"))
    assert one.size == other.size == (128, 128)
    assert difference(one, other) > 5


def test_it_is_loaded_once_and_anew_when_its_file_is_replaced(
    house: Settings, layouts: dict[str, Path]
) -> None:
    workshop = Workshop(house)
    request = a_request(model="sd1", vae="mine")
    file = house.path(house.vaes_dir) / "mine.safetensors"
    shutil.copy(layouts["alone"], file)
    first = workshop.scene(request).coder
    assert workshop.scene(request).coder.vae is first.vae
    state = load_file(file)
    save_file({name: one * 2 for name, one in state.items()}, file)
    assert workshop.scene(request).coder.vae is not first.vae
    workshop.close()


def test_one_for_other_latents_fails_by_its_field(house: Settings, sdxl_folder: Path) -> None:
    shutil.copytree(sdxl_folder / "vae", house.path(house.vaes_dir) / "for-xl")
    events = run(make_engine(house), it=a_request(model="sd1", vae="for-xl"))["it"]
    assert "'for-xl' is for latents of another kind" in str(events[-1])


def test_with_offload_it_visits_the_device(
    tmp_path: Path, sd1_folder: Path, layouts: dict[str, Path]
) -> None:
    settings = with_vaes(make_house(tmp_path, {"sd1": sd1_folder}), layouts)
    plain = render(make_engine(settings), model="sd1", vae="alone")
    for offload in ("model", "sequential"):
        staged = settings.model_copy(update={"offload": offload})
        again = render(make_engine(staged), model="sd1", vae="alone")
        assert again.tobytes() == plain.tobytes()


def test_the_file_says_which_it_was(house: Settings, layouts: dict[str, Path]) -> None:
    engine = make_engine(house)
    for name, file in (("alone", layouts["alone"]), ("folder", layouts["folder"] / WEIGHTS)):
        digits = hashlib.sha256(file.read_bytes()).hexdigest()[:10]
        said = render(engine, model="sd1", vae=name, steps=1).info["parameters"]
        assert f"VAE hash: {digits}, VAE: {name}," in said
    assert "VAE" not in render(engine, model="sd1", steps=1).info["parameters"]
