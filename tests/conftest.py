"""What every test may ask for: settings in a folder of its own, an app in this process, a real server."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from diffusionapi.main import create_app
from diffusionapi.settings import PROJECT, Settings
from tests.factories import settings_in
from tests.redis_server import RedisServer
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Clients = Callable[..., TestClient]


SLOW = ("crash/", "redis/", "engine/", "weights/", "test_models.py")
"""What kills servers or loads torch; QUICK, among them, does neither."""
QUICK = ("engine/fake/", "engine/test_process.py", "weights/test_lora_kind.py")
LONG = (
    *("redis/", "crash/", "training/", "picturebook/test_training.py", "picturebook/test_xl.py"),
    *("engine/test_autoencoder.py", "engine/test_benchmark.py", "engine/test_without_values.py"),
    *("engine/models/test_cache.py", "engine/models/test_offload.py", "engine/control/test_holds.py"),
    *("engine/previews/test_previewer.py", "engine/upscalers/test_torchvision_shim.py", "engine/training/"),
    *("api/backlog/test_callbacks.py", "api/stream/test_clients.py", "webhooks/test_courier.py"),
    *("docs/test_generated_client.py", "docs/test_swagger.py", "engine/test_process.py"),
)
"""Half the time of all tests, for what seldom changes."""
LONGEST = ("training/test_recipe.py", "crash/test_kills.py", "redis/", "docs/")
"""What begins first, so that where files run side by side none of these is left over in the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _place(item).startswith(SLOW) and not _place(item).startswith(QUICK):
            item.add_marker(pytest.mark.slow)
        if _place(item).startswith(LONG):
            item.add_marker(pytest.mark.long)
    items.sort(key=lambda item: not _place(item).startswith(LONGEST))


def _place(item: pytest.Item) -> str:
    return str(item.path.relative_to(PROJECT / "tests"))


def pytest_collection_finish() -> None:
    """What is imported by now stays to the end. Otherwise the engine, which has Python look for garbage
    whenever a model goes, would have it look through all of that, for a second each time."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU, and torch finds no CUDA device")


@pytest.fixture(autouse=True, scope="session")
def _no_settings_of_this_machine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for name in Settings.model_fields:
            environment.delenv(name.upper(), raising=False)
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """The app in this process with a worker, jobs in memory."""
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture(scope="module")
def shared_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The same, for all tests of a file that do not mind what others have left there: its start takes longer
    than most tests."""
    with TestClient(create_app(settings_in(tmp_path_factory.mktemp("shared")))) as client:
        yield client


@pytest.fixture
def idle_client(settings: Settings) -> Iterator[TestClient]:
    """The app with nobody to work: jobs stay in the queue."""
    with TestClient(create_app(settings.model_copy(update={"workers": 0}))) as client:
        yield client


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server with quick steps, shared by all tests that leave it as they found it."""
    with Server(tmp_path_factory.mktemp("server"), fake_step_seconds=0.005) as server:
        yield server


@pytest.fixture(scope="session")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same with steps of 50 ms, slow enough to be watched."""
    with Server(tmp_path_factory.mktemp("slow-server"), fake_step_seconds=0.05) as server:
        yield server


@pytest.fixture(scope="session")
def _shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(_shared_redis: RedisServer) -> RedisServer:
    """An empty one."""
    _shared_redis.flush()
    return _shared_redis


# --- miniature models, made once per session: tests that change one make or copy their own ---------------


@pytest.fixture(scope="session")
def sd1_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests import miniatures

    return miniatures.make_sd1(tmp_path_factory.mktemp("models") / "mini-sd1")


@pytest.fixture(scope="session")
def sd2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests import miniatures

    return miniatures.make_sd2(tmp_path_factory.mktemp("models") / "mini-sd2")


@pytest.fixture(scope="session")
def sd2_v_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests import miniatures

    return miniatures.make_sd2(tmp_path_factory.mktemp("models") / "mini-sd2-v", v=True)


@pytest.fixture(scope="session")
def sdxl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests import miniatures

    return miniatures.make_sdxl(tmp_path_factory.mktemp("models") / "mini-sdxl")


@pytest.fixture(scope="session")
def refiner_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests import miniatures

    return miniatures.make_refiner(tmp_path_factory.mktemp("models") / "mini-refiner")
