"""The cache holds the most recently used encodings, up to a number of bytes."""

from __future__ import annotations

import torch

from diffusionapi.engine.prompts.cache import Encoded, EncodedCache


def encoded(floats: int, pooled: int = 0) -> Encoded:
    return Encoded(torch.zeros(floats), torch.zeros(pooled) if pooled else None)


def test_what_was_used_longest_ago_goes_first() -> None:
    cache = EncodedCache(limit=40)
    for name in "abc":
        cache.put(name, encoded(3))
    assert cache.get("a") is not None
    cache.put("d", encoded(3))
    assert cache.get("b") is None
    assert [name for name in "acd" if cache.get(name)] == ["a", "c", "d"]
    assert cache.bytes == 36


def test_bytes_are_counted_with_the_pooled_vector_and_once_per_key() -> None:
    cache = EncodedCache(limit=100)
    cache.put("a", encoded(3, pooled=2))
    cache.put("a", encoded(4, pooled=2))
    assert cache.bytes == 24


def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    cache = EncodedCache(limit=10)
    cache.put("a", encoded(3))
    assert cache.get("a") is None
    assert cache.bytes == 0


def test_clearing_lets_go_of_everything() -> None:
    cache = EncodedCache()
    cache.put("a", encoded(3))
    cache.clear()
    assert cache.get("a") is None
    assert cache.bytes == 0
