"""Models used last stay loaded within a bound of bytes, and the memory of the others goes back."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch

from diffusionapi.engine.models.cache import ModelCache
from diffusionapi.engine.models.load import load
from diffusionapi.engine.models.loaded import LoadedModel
from tests import miniatures

CPU = torch.device("cpu")
MB = 2**20


class Loads:
    """Counts what is loaded."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.paths: list[Path] = []
        self._load = partial(load, device=CPU, dtype=dtype)

    def __call__(self, path: Path) -> LoadedModel:
        self.paths.append(path)
        return self._load(path)


def a_cache(loads: Loads, megabytes: float, **options: int) -> ModelCache:
    return ModelCache(loads, device=CPU, dtype=torch.float32, device_bytes=int(megabytes * MB), **options)


def test_a_model_that_is_loaded_is_not_loaded_again(sd1_folder: Path) -> None:
    loads = Loads()
    cache = a_cache(loads, 1000)
    assert cache.get(sd1_folder) is cache.get(sd1_folder)
    assert loads.paths == [sd1_folder]


def test_the_model_used_longest_ago_makes_room(
    sd1_folder: Path, sd2_folder: Path, refiner_folder: Path
) -> None:
    loads = Loads()
    cache = a_cache(loads, 52)  # SD 1 has 18 MB, SD 2 24, the refiner 27
    cache.get(sd1_folder)
    cache.get(sd2_folder)
    cache.get(sd1_folder)
    cache.get(refiner_folder)
    assert cache.loaded == [sd1_folder, refiner_folder]
    assert cache.device_bytes <= 52 * MB
    cache.get(sd2_folder)
    assert cache.loaded == [refiner_folder, sd2_folder]
    assert loads.paths == [sd1_folder, sd2_folder, refiner_folder, sd2_folder]


def test_room_is_made_before_loading(sd1_folder: Path, sd2_folder: Path) -> None:
    seen: list[list[Path]] = []
    loads = Loads()

    def watched(path: Path) -> LoadedModel:
        seen.append(list(cache.loaded))
        return loads(path)

    cache = ModelCache(watched, device=CPU, dtype=torch.float32, device_bytes=30 * MB)
    cache.get(sd1_folder)
    cache.get(sd2_folder)
    assert seen == [[], []]


def test_what_is_in_use_stays(sd1_folder: Path, sd2_folder: Path) -> None:
    cache = a_cache(Loads(), 1)
    first = cache.get(sd1_folder)
    cache.get(sd2_folder, keep={sd1_folder})
    assert cache.loaded == [sd1_folder, sd2_folder]
    assert cache.get(sd1_folder) is first


def test_a_model_larger_than_the_bound_is_kept_alone(sd1_folder: Path, sd2_folder: Path) -> None:
    cache = a_cache(Loads(), 1)
    cache.get(sd1_folder)
    cache.get(sd2_folder)
    assert cache.loaded == [sd2_folder]


def test_a_replaced_file_is_loaded_anew(sd1_folder: Path, tmp_path: Path) -> None:
    file = miniatures.as_checkpoint(sd1_folder, tmp_path / "one.safetensors")
    loads = Loads()
    cache = a_cache(loads, 1000)
    first = cache.get(file)
    os.utime(file, (1e9, 1e9))
    assert cache.get(file) is not first
    assert loads.paths == [file, file]


def test_evicted_and_cleared_models_are_gone(sd1_folder: Path, sd2_folder: Path) -> None:
    cache = a_cache(Loads(), 1000)
    cache.get(sd1_folder)
    cache.get(sd2_folder)
    cache.evict(sd1_folder)
    assert cache.loaded == [sd2_folder]
    cache.clear()
    assert (cache.loaded, cache.device_bytes, cache.host_bytes) == ([], 0, 0)


def test_a_broken_model_leaves_the_others_alone(sd1_folder: Path, tmp_path: Path) -> None:
    cache = a_cache(Loads(), 1000)
    cache.get(sd1_folder)
    shutil.copytree(sd1_folder, tmp_path / "broken")
    (tmp_path / "broken" / "vae" / "config.json").unlink()
    with pytest.raises(Exception, match="vae/config"):
        cache.get(tmp_path / "broken")
    assert cache.loaded == [sd1_folder]


def test_models_that_leave_a_device_wait_on_the_host(
    sd1_folder: Path, sd2_folder: Path, refiner_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[tuple[str, str]] = []
    monkeypatch.setattr(LoadedModel, "to", lambda model, device: moved.append((model.name, device.type)))
    loads = Loads()
    # The meta device stands for a GPU: it has no memory, so only where models lie is looked at.
    cache = ModelCache(
        loads,
        device=torch.device("meta"),
        dtype=torch.float32,
        device_bytes=30 * MB,
        host_bytes=30 * MB,
    )
    for path in (sd1_folder, sd2_folder, refiner_folder):
        cache.get(path)
    assert cache.loaded == [refiner_folder]
    assert moved == [("mini-sd1", "cpu"), ("mini-sd2", "cpu")]
    assert cache.host_bytes <= 30 * MB
    cache.get(sd2_folder)
    assert moved[-2:] == [("mini-refiner", "cpu"), ("mini-sd2", "meta")]
    assert len(loads.paths) == 3


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("dtype", "turns"), [(torch.bfloat16, 30), (torch.float32, 18)])
def test_memory_stays_flat_when_models_take_turns(
    dtype: torch.dtype, turns: int, sd1_folder: Path, sdxl_folder: Path, tmp_path: Path
) -> None:
    """In bf16 the weights of these files are converted, in fp32 they stay mapped."""
    process = psutil.Process()
    paths = [sd1_folder, miniatures.as_checkpoint(sdxl_folder, tmp_path / "one.safetensors")]
    cache = ModelCache(Loads(dtype), device=CPU, dtype=dtype, device_bytes=1)
    resident = []
    for turn in range(turns):
        model = cache.get(paths[turn % 2])
        model.unet.conv_in.weight.sum().item()
        del model
        resident.append(process.memory_info().rss)
    settled = resident[10:]
    assert max(settled) - min(settled) < 40 * MB  # the difference of the two, and a margin
    assert settled[-1] - settled[1] < 4 * MB
