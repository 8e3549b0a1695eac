"""The shelves, each made of the real thing: a folder, a bucket with a server before it, a redis-server."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from diffusionapi.blobs.folder import FolderShelf
from diffusionapi.settings import Settings
from tests.blobs.s3_server import BUCKET, KEY_ID, REGION, SECRET, S3Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from diffusionapi.blobs.shelf import Shelf
    from tests.redis_server import RedisServer

    Age = Callable[[str, float], None]

SECONDS = 30 * 86400


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


def in_bucket(s3: S3Server, **others: object) -> Settings:
    access = {"aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET, "aws_region": REGION}
    place = {"blobs": f"s3://{BUCKET}/some/where", "aws_endpoint_url": s3.url}
    return Settings.model_validate(access | place | others)


@pytest.fixture(params=["folder", "s3", "redis"])
def shelf_and_age(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Shelf, Age]:
    """A shelf, and a way to have a file on it so many seconds old."""
    if request.param == "folder":
        folder = tmp_path / "shelf"

        def age(name: str, seconds: float) -> None:
            os.utime(folder / name, (time.time() - seconds,) * 2)

        return FolderShelf(folder), age
    if request.param == "s3":
        return _of_s3(request.getfixturevalue("s3"))
    return _of_redis(request.getfixturevalue("redis_server"))


def _of_s3(s3: S3Server) -> tuple[Shelf, Age]:
    from diffusionapi.blobs.bucket import Bucket
    from diffusionapi.blobs.objects import ObjectShelf

    def age(name: str, seconds: float) -> None:
        key = f"some/where/shelf/{name}"
        content, kind, _ = s3.objects[key]
        s3.objects[key] = content, kind, time.time() - seconds

    return ObjectShelf(Bucket(in_bucket(s3)), "shelf"), age


def _of_redis(server: RedisServer) -> tuple[Shelf, Age]:
    from diffusionapi.blobs.redis import RedisShelf, connected

    redis = connected(Settings(job_store=server.url, blobs="redis:"))

    def age(name: str, seconds: float) -> None:
        assert redis.call("ZADD", "{diffusionapi}:shelf", "XX", time.time() - seconds, name) == 0

    return RedisShelf(redis, "shelf", seconds=SECONDS), age


@pytest.fixture
def shelf(shelf_and_age: tuple[Shelf, Age]) -> Shelf:
    return shelf_and_age[0]


@pytest.fixture
def age(shelf_and_age: tuple[Shelf, Age]) -> Age:
    return shelf_and_age[1]
