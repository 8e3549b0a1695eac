"""Weights visit the device one piece at a time, and pictures are what they are without that, bit for bit.

A part that is away has its weights on "meta", where nothing can be computed, so a device of one's own is not
needed to see who is there: the CPU stands for a GPU.
"""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import torch
from accelerate import init_empty_weights

from diffusionapi.core.request import Hires, Lora, Refiner
from diffusionapi.engine.engine import Rendered
from diffusionapi.engine.models import offload
from diffusionapi.engine.models.load import build, load
from diffusionapi.engine.models.offload import Piece, Stage
from diffusionapi.engine.models.weights import size_of
from diffusionapi.engine.previews import colours
from diffusionapi.engine.prompts.encode import PromptEncoder
from diffusionapi.weights import folders
from diffusionapi.weights.families import CONFIGS, TEXT_ENCODERS
from tests.engine.adapters.lora_files import a_lora, save_kohya
from tests.engine.rendering import latents_of, make_engine, render, run
from tests.factories import a_request

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.settings import Settings

CPU = torch.device("cpu")
SMALL = 2**19
"""Bytes of a piece, so that the parts of a miniature come in many."""
MODES = ["model", "sequential"]


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offload, "LARGEST_PIECE", SMALL)


def with_mode(house: Settings, mode: str) -> Settings:
    return house.model_copy(update={"offload": mode})


@pytest.fixture
def arrivals(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The class of each module that comes onto the device, for a VAE whose colours are known, as those of
    published ones are; any other comes once more, when its model is loaded."""
    seen: list[str] = []
    come = Piece.come

    def watched(piece: Piece, device: torch.device) -> None:
        seen.append(type(piece.module).__name__)
        come(piece, device)

    monkeypatch.setattr(Piece, "come", watched)
    monkeypatch.setattr(colours, "known", lambda _: colours.Colours(torch.zeros(4, 3), torch.zeros(3)))
    return seen


def taken(folder: Path, largest: int | None) -> tuple[Stage, LoadedModel]:
    stage, model = Stage(CPU, largest), load(folder, CPU, torch.float32)
    stage.take(model)
    return stage, model


def bytes_there(model: LoadedModel) -> int:
    """Of the weights that are on the device now."""
    weights = (one for part in model.modules for one in part.parameters())
    return sum(one.nbytes for one in weights if one.device == CPU)


def leaves(part: torch.nn.Module) -> list[torch.nn.Module]:
    return [one for one in part.modules() if not list(one.children())]


# --- who is on the device -------------------------------------------------------------------------------


def test_a_model_that_nobody_calls_takes_none_of_the_device(sd1_folder: Path) -> None:
    stage, model = taken(sd1_folder, None)
    assert bytes_there(model) == 0
    assert stage.here is None
    assert model.bytes == sum(size_of(part) for part in model.modules)


@pytest.mark.parametrize("largest", [None, SMALL])
def test_never_more_than_one_piece_is_on_the_device(
    largest: int | None, sdxl_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, model = taken(sdxl_folder, largest)
    bound = max(
        size_of(one) for part in model.modules for one in ([part] if largest is None else leaves(part))
    )
    come, most = Piece.come, []

    def watched(piece: Piece, device: torch.device) -> None:
        assert bytes_there(model) == 0, "the one before has left"
        come(piece, device)
        most.append(bytes_there(model))

    monkeypatch.setattr(Piece, "come", watched)
    PromptEncoder(model).encode("a fox")
    with torch.inference_mode():
        model.vae.decode(torch.zeros(1, 4, 8, 8))
    assert 0 < max(most) <= bound
    assert len(most) == 3 if largest is None else len(most) > 10


def test_pieces_hold_every_weight_once_and_are_small_where_layers_are(sd1_folder: Path) -> None:
    model = load(sd1_folder, CPU, torch.float32)
    largest = max(map(size_of, leaves(model.unet)))
    stage = Stage(CPU, SMALL)
    stage.take(model)
    pieces = [one._hf_hook for one in model.unet.modules() if hasattr(one, "_hf_hook")]  # noqa: SLF001
    sizes = [size_of(one.module) for one in pieces]
    assert sum(sizes) == size_of(model.unet)
    assert max(sizes) <= max(SMALL, largest)
    assert len(sizes) > 10


@pytest.mark.parametrize("published", ["sd1", "sd2-v", "sdxl", "refiner"])
def test_the_published_models_come_in_pieces_of_that_size_even_in_fp32(published: str) -> None:
    family = folders.family(CONFIGS / published)
    for component in folders.components(family):
        config = folders.read_config(CONFIGS / published / component / "config.json")
        encoder = next((one for one in TEXT_ENCODERS[family] if one.folder == component), None)
        with init_empty_weights():
            part = build(config, component, encoder)
        sizes = [size_of(one) for one in offload.pieces(part, 256 * 2**20)]
        assert sum(sizes) == size_of(part)
        assert max(sizes) <= 256 * 2**20


def test_the_network_stays_through_all_steps_and_is_away_only_for_prompts_and_pictures(
    house: Settings, arrivals: list[str]
) -> None:
    engine = make_engine(with_mode(house, "model"))
    run(engine, **{name: a_request(model="sd1", steps=5, seed=n) for n, name in enumerate("ab")})
    assert arrivals == ["CLIPTextModel", "UNet2DConditionModel", "AutoencoderKL"]


def test_who_joins_costs_the_network_one_way_out_and_back(house: Settings, arrivals: list[str]) -> None:
    engine = make_engine(with_mode(house, "model"))
    engine.admit("first", a_request(model="sd1", steps=6))
    for _ in range(6):
        engine.step(0)
    engine.admit("later", a_request(model="sd1", steps=60, prompt="another"))
    done: list[str] = []
    while not done:
        done += [name for name, event in engine.step(0) if isinstance(event, Rendered)]
    text, unet, vae = "CLIPTextModel", "UNet2DConditionModel", "AutoencoderKL"
    assert arrivals == [text, unet, text, unet, vae]
    engine.close()


def test_a_full_device_leaves_no_half_of_a_piece_there(
    sd1_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, model = taken(sd1_folder, None)

    def full(piece: Piece, device: torch.device) -> None:
        come(piece, device)
        raise torch.OutOfMemoryError

    come = Piece.come
    with monkeypatch.context() as small:
        small.setattr(Piece, "come", full)
        with pytest.raises(torch.OutOfMemoryError):
            model.vae.decode(torch.zeros(1, 4, 8, 8))
    assert (bytes_there(model), stage.here) == (0, None)
    assert model.vae.decode(torch.zeros(1, 4, 8, 8)).sample.isfinite().all()


def test_a_model_that_is_dropped_is_not_held_by_the_stage(sd1_folder: Path) -> None:
    stage, model = taken(sd1_folder, None)
    model.vae.decode(torch.zeros(1, 4, 8, 8))
    gone = weakref.ref(model.vae)
    del model
    gc.collect()
    assert gone() is None
    assert stage.here is None


# --- pictures -------------------------------------------------------------------------------------------

PICTURES: dict[str, dict[str, Any]] = {
    "plain": {"model": "sd1", "steps": 3},
    "emphasis and a long prompt": {"model": "sd1", "steps": 2, "prompt": "a (red:1.3) fox, " * 30},
    "clip skip": {"model": "sd1", "steps": 2, "clip_skip": 2},
    "two text encoders and a refiner": {"model": "sdxl", "steps": 4, "refiner": Refiner("refiner", 0.5)},
    "a second pass": {"model": "sd1", "steps": 2, "hires": Hires(1.5, "Lanczos", 2, 0.5)},
    "a LoRA": {"model": "sd1", "steps": 2, "loras": (Lora("style", 0.8, 0.8),)},
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("mode", MODES)
def test_latents_are_those_without_offload_bit_for_bit(
    mode: str, name: str, house: Settings, tmp_path: Path, sd1_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_kohya(tmp_path / "style.safetensors", a_lora(load(sd1_folder, CPU, torch.float32)))
    house = house.model_copy(update={"loras_dir": tmp_path})
    latents = latents_of(monkeypatch)
    pictures = [render(make_engine(one), **PICTURES[name]) for one in (house, with_mode(house, mode))]
    half = len(latents) // 2
    assert half
    assert all(map(torch.equal, latents[:half], latents[half:]))
    assert pictures[0].tobytes() == pictures[1].tobytes()


@pytest.mark.parametrize("mode", MODES)
def test_pictures_side_by_side_are_the_same_too(
    mode: str, house: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents = latents_of(monkeypatch)
    requests = {
        "a": a_request(model="sd1", steps=3, seed=1),
        "b": a_request(model="sd1", steps=5, seed=2, prompt="a fox", sampler="Euler a"),
    }
    for settings in (house, with_mode(house, mode)):
        run(make_engine(settings), **requests)
    assert all(map(torch.equal, latents[:2], latents[2:]))


def test_models_are_counted_where_they_live(house: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a bound that holds one model, the second makes the first leave; both are in main memory."""
    settings = with_mode(house, "model").model_copy(update={"model_memory_mb": 20})
    engine = make_engine(settings)
    loads: list[str] = []
    take = Stage.take

    def counted(stage: Stage, model: LoadedModel) -> None:
        loads.append(model.name)
        take(stage, model)

    monkeypatch.setattr(Stage, "take", counted)
    for model in ("sd1", "sd1", "sdxl", "sd1"):
        render(engine, model=model, steps=1)
    assert loads == ["sd1", "sdxl", "sd1"]
    engine.close()


# --- on a device ----------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("mode", MODES)
def test_on_a_gpu_latents_are_the_same_too_and_memory_is_given_back(
    mode: str, house: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents = latents_of(monkeypatch)
    on_gpu = house.model_copy(update={"device": "cuda"})
    for settings in (on_gpu, with_mode(on_gpu, mode)):
        engine = make_engine(settings)
        render(engine, model="sd1", steps=4)
        engine.close()
    assert torch.equal(*latents)


@pytest.mark.gpu
@pytest.mark.parametrize("largest", [None, SMALL])
def test_on_a_gpu_no_more_than_a_piece_is_taken(largest: int | None, sd1_folder: Path) -> None:
    model = load(sd1_folder, CPU, torch.float32)
    before = torch.cuda.memory_allocated()
    Stage(torch.device("cuda"), largest).take(model)
    with torch.inference_mode():
        picture = model.vae.decode(torch.zeros(1, 4, 8, 8, device="cuda")).sample
    left = torch.cuda.memory_allocated() - before - picture.nbytes
    assert left <= 1.2 * (largest or size_of(model.vae)) + 2**20
