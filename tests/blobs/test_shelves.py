"""What every shelf promises, whatever it is made of."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusionapi.blobs.shelf import Shelf
    from tests.blobs.conftest import Age

BYTES = bytes(range(256)) * 40


def test_what_was_written_is_read(shelf: Shelf) -> None:
    shelf.write("a.png", BYTES)
    assert shelf.read("a.png") == BYTES
    assert shelf.has("a.png")


def test_a_file_is_replaced_whole(shelf: Shelf) -> None:
    shelf.write("a.png", BYTES)
    shelf.write("a.png", b"short")
    assert shelf.read("a.png") == b"short"


def test_what_is_not_there_is_none(shelf: Shelf) -> None:
    assert shelf.read("a.png") is None
    assert shelf.beginning("a.png", 24) is None
    assert not shelf.has("a.png")
    assert not shelf.touch("a.png")
    shelf.remove("a.png")


def test_a_beginning_is_so_long_or_all_there_is(shelf: Shelf) -> None:
    shelf.write("a.png", BYTES)
    shelf.write("b.png", b"short")
    assert shelf.beginning("a.png", 24) == BYTES[:24]
    assert shelf.beginning("b.png", 24) == b"short"


def test_what_was_removed_is_gone(shelf: Shelf) -> None:
    shelf.write("a.png", BYTES)
    shelf.write("b.png", BYTES)
    shelf.remove("a.png")
    assert (shelf.has("a.png"), shelf.read("a.png")) == (False, None)
    assert shelf.aged(time.time() + 60) == {"b.png"}


def test_files_are_found_by_their_age(shelf: Shelf, age: Age) -> None:
    for name in ("a.png", "b.png", "c.png", "d.png", "e.png"):
        shelf.write(name, BYTES)
    for name in ("a.png", "b.png", "c.png"):
        age(name, 500)
    assert shelf.aged(time.time() - 100) == {"a.png", "b.png", "c.png"}
    assert shelf.aged(time.time() - 900) == set()


def test_a_touched_file_is_young_again_and_the_same(shelf: Shelf, age: Age) -> None:
    shelf.write("a.png", BYTES)
    age("a.png", 500)
    assert shelf.touch("a.png")
    assert shelf.aged(time.time() - 100) == set()
    assert shelf.read("a.png") == BYTES


def test_a_file_that_was_touched_meanwhile_is_not_removed_for_its_age(shelf: Shelf, age: Age) -> None:
    for name in ("a.png", "b.png"):
        shelf.write(name, BYTES)
        age(name, 500)
    long_ago = time.time() - 100
    assert shelf.aged(long_ago) == {"a.png", "b.png"}
    shelf.touch("a.png")
    assert not shelf.remove_aged("a.png", long_ago)
    assert shelf.remove_aged("b.png", long_ago)
    assert not shelf.remove_aged("b.png", long_ago)  # it is gone already
    assert (shelf.has("a.png"), shelf.has("b.png")) == (True, False)


def test_a_shelf_that_takes_files_has_nothing_to_complain_of(shelf: Shelf) -> None:
    shelf.check()
    shelf.tidy()


def test_files_of_many_threads_do_not_mix(shelf: Shelf) -> None:
    def put(number: int) -> None:
        for _ in range(5):
            shelf.write("same.png", bytes([number]) * 5000)
            shelf.write(f"{number}.png", bytes([number]) * 5000)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    same = shelf.read("same.png")
    assert same is not None
    assert same == same[:1] * 5000
    assert all(shelf.read(f"{number}.png") == bytes([number]) * 5000 for number in range(6))
