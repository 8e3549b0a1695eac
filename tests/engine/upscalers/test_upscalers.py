from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image, ImageChops
from safetensors.torch import save_file

from diffusionapi.engine.upscalers import image, spandrel
from diffusionapi.engine.upscalers.spandrel import OVERLAP, TILE
from diffusionapi.engine.upscalers.upscaler import Upscaler, Upscalers
from diffusionapi.errors import BrokenModel
from tests.engine.upscalers import esrgan

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")
LAYOUTS: tuple[esrgan.Layout, ...] = ("old", "bsrgan", "real")


def a_picture(width: int = 40, height: int = 24) -> Image.Image:
    generator = torch.Generator().manual_seed(1)
    values = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=generator)
    return Image.fromarray(values.numpy())


def run(upscaler: Upscaler, picture: Image.Image, size: tuple[int, int]) -> tuple[Image.Image, list[float]]:
    """The larger picture, and what was told on the way."""
    upscaling, told = upscaler(picture, size), []
    while True:
        try:
            told.append(next(upscaling))
        except StopIteration as end:
            return end.value, told


def largest_difference(one: Image.Image, other: Image.Image) -> int:
    return max(highest for _, highest in ImageChops.difference(one, other).getextrema())  # type: ignore[misc]


@pytest.fixture
def nearest_x4(tmp_path: Path) -> Path:
    save_file(esrgan.nearest_weights(4, "old"), tmp_path / "nearest.safetensors")
    return tmp_path / "nearest.safetensors"


@pytest.mark.parametrize("name", image.UPSCALERS)
def test_built_in_upscalers_are_pillows(name: str) -> None:
    larger, _ = run(Upscalers(CPU).get(name, None), a_picture(), (80, 56))
    assert larger.size == (80, 56)
    resampling = {"Lanczos": Image.Resampling.LANCZOS, "Nearest": Image.Resampling.NEAREST}[name]
    assert larger.tobytes() == a_picture().resize((80, 56), resampling).tobytes()


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_networks_in_every_layout_of_names_do_what_their_weights_say(
    scale: int, layout: esrgan.Layout, tmp_path: Path
) -> None:
    weights = esrgan.nearest_weights(scale, layout)
    save_file(weights, tmp_path / "one.safetensors")
    torch.save({"params_ema": weights}, tmp_path / "two.pth")
    torch.save(weights, tmp_path / "three.pth", _use_new_zipfile_serialization=False)
    for file in sorted(tmp_path.iterdir()):
        larger, _ = run(spandrel.load(file, CPU), a_picture(), (40 * scale, 24 * scale))
        assert larger.tobytes() == a_picture().resize(larger.size, Image.Resampling.NEAREST).tobytes()


def test_a_network_that_first_folds_pixels_into_channels_is_known(tmp_path: Path) -> None:
    save_file(esrgan.random_weights(4, "real", channels=12), tmp_path / "x2.safetensors")
    upscaler: Any = spandrel.load(tmp_path / "x2.safetensors", CPU)
    assert upscaler.network.scale == 2
    assert run(upscaler, a_picture(41, 23), (82, 46))[0].size == (82, 46)


@pytest.mark.parametrize(
    ("size", "tiles"),
    [
        ((160, 96), 1),
        ((100, 60), 1),  # down from what one pass gives
        ((640, 384), 2),  # one pass gives 160 x 96, another 640 x 384, each a single tile
        ((40, 24), 0),
        ((20, 12), 0),
    ],
)
def test_the_size_is_reached_exactly_in_as_few_passes_as_needed(
    nearest_x4: Path, size: tuple[int, int], tiles: int
) -> None:
    larger, told = run(spandrel.load(nearest_x4, CPU), a_picture(), size)
    assert larger.size == size
    assert len(told) == tiles
    assert told == sorted(told)
    assert told[-1:] in ([], [1.0])


@pytest.mark.parametrize("size", [(TILE - 1, TILE), (TILE + 1, 40), (2 * TILE - OVERLAP, 30), (401, 385)])
def test_tiles_leave_no_seams(nearest_x4: Path, size: tuple[int, int]) -> None:
    picture = a_picture(*size)
    larger, told = run(spandrel.load(nearest_x4, CPU), picture, (size[0] * 4, size[1] * 4))
    assert larger.tobytes() == picture.resize(larger.size, Image.Resampling.NEAREST).tobytes()
    assert told[-1] == 1.0


def test_a_tiled_picture_is_close_to_the_one_made_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(esrgan.random_weights(2, "real"), tmp_path / "random.safetensors")
    upscaler = spandrel.load(tmp_path / "random.safetensors", CPU)
    picture = a_picture(300, 200)
    tiled, _ = run(upscaler, picture, (600, 400))
    monkeypatch.setattr(spandrel, "TILE", 4096)
    whole, told = run(upscaler, picture, (600, 400))
    assert len(told) == 1
    assert len(set(whole.tobytes())) > 50  # it is a picture and not one colour
    assert largest_difference(tiled, whole) <= 2


def test_the_network_never_sees_more_than_a_tile(nearest_x4: Path) -> None:
    upscaler: Any = spandrel.load(nearest_x4, CPU)
    seen: list[tuple[int, ...]] = []
    upscaler.network.model.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    larger, _ = run(upscaler, a_picture(360, 300), (1440, 1200))
    assert larger.size == (1440, 1200)
    assert set(seen) == {(1, 3, TILE, TILE)}


def test_the_file_used_last_stays_loaded_until_it_changes(nearest_x4: Path) -> None:
    upscalers = Upscalers(CPU)
    assert upscalers.get("nearest", nearest_x4) is upscalers.get("nearest", nearest_x4)
    before = upscalers.get("nearest", nearest_x4)
    os.utime(nearest_x4, ns=(1, 1))
    again = upscalers.get("nearest", nearest_x4)
    assert again is not before
    upscalers.forget()
    assert upscalers.get("nearest", nearest_x4) is not again


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


def test_a_pth_that_would_run_code_is_refused_and_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"params": _Bomb()}, "bomb.pth")
    with pytest.raises(BrokenModel, match=r"bomb\.pth cannot be used: .* more than weights"):
        spandrel.load(tmp_path / "bomb.pth", CPU)
    assert not (tmp_path / "exploded").exists()


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_that_are_broken_are_named(suffix: str, tmp_path: Path) -> None:
    weights = esrgan.nearest_weights(2, "old")
    half, empty, other, odd = (tmp_path / f"{name}{suffix}" for name in ("half", "empty", "other", "odd"))
    for file, content in ((half, weights), (other, {"a.weight": torch.zeros(3)}), (odd, mismatched(weights))):
        torch.save(content, file) if suffix == ".pth" else save_file(content, file)
    cut_short(half)
    empty.touch()
    for file in (half, empty, other, odd):
        with pytest.raises(BrokenModel, match=rf"{file.stem}\{suffix} cannot be used: \S+"):
            spandrel.load(file, CPU)


def mismatched(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return weights | {"model.3.weight": torch.zeros(1, 1, 3, 3)}


def test_a_pth_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(BrokenModel, match="no weights by name"):
        spandrel.load(tmp_path / "list.pth", CPU)
