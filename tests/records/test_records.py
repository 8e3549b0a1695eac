"""What records promise, wherever they lie."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from diffusionapi.records.open import Archive
from diffusionapi.records.records import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from diffusionapi.records.records import Records, Row
    from diffusionapi.settings import Settings

BOATS = Kind(
    table="boats",
    schema="""
CREATE TABLE IF NOT EXISTS boats (
    hull BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    harbour TEXT NOT NULL,
    created REAL NOT NULL,
    sunk REAL,
    crew INTEGER
) WITHOUT ROWID;
""",
    what="boats",
    columns={"hull": bytes, "name": str, "harbour": str, "created": float, "sunk": float, "crew": int},
    id="hull",
    name="name",
    group="harbour",
)


@pytest.fixture
def opened(settings: Settings) -> Iterator[Callable[[], Records]]:
    """Opens records of one place, as processes of their own would."""
    made: list[Records] = []

    def open_one() -> Records:
        made.append(Archive(settings).records(BOATS, settings.data_dir / "boats.sqlite"))
        return made[-1]

    yield open_one
    for one in made:
        one.close()


@pytest.fixture
def boats(opened: Callable[[], Records]) -> Records:
    return opened()


def a_boat(name: str, **values: Any) -> Row:
    row = {"hull": name.encode(), "name": name, "harbour": "north", "created": 1.0, "sunk": None, "crew": 3}
    return row | values


def names(rows: list[Row]) -> list[str]:
    return [row["name"] for row in rows]


def test_what_was_added_is_found_to_the_bit_by_all(boats: Records, opened: Callable[[], Records]) -> None:
    row = a_boat("Ünï: {x}\n", hull=bytes(range(256)), created=1763748195.1234567, crew=-(2**60), sunk=0.1)
    assert boats.add(row)
    assert opened().get(bytes(range(256))) == boats.named("Ünï: {x}\n") == row
    assert opened().get(b"other") is None
    assert opened().named("other") is None


def test_a_name_and_an_id_are_given_once(boats: Records) -> None:
    assert boats.add(a_boat("Anna"))
    assert not boats.add(a_boat("Anna", hull=b"another"))
    assert not boats.add(a_boat("Berta", hull=b"Anna"))
    assert boats.all() == [a_boat("Anna")]
    boats.remove(b"Anna")
    assert boats.add(a_boat("Anna", hull=b"another"))
    assert boats.named("Anna") == a_boat("Anna", hull=b"another")


def test_of_many_who_add_one_name_one_wins(opened: Callable[[], Records]) -> None:
    one, other = opened(), opened()

    def add(number: int) -> bool:
        return (one if number % 2 else other).add(a_boat("Anna", hull=str(number).encode()))

    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(add, range(60))) == 1
    (row,) = one.all()
    assert other.get(row["hull"]) == row


def test_of_many_who_add_the_first_one_wins(opened: Callable[[], Records]) -> None:
    one, other = opened(), opened()

    def add(number: int) -> bool:
        return (one if number % 2 else other).add(a_boat(str(number)), only_first=True)

    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(add, range(60))) == 1
    assert len(one.all()) == 1
    one.remove(one.all()[0]["hull"])
    assert other.add(a_boat("Berta"), only_first=True)


def test_a_change_leaves_the_other_columns(boats: Records) -> None:
    boats.add(a_boat("Anna"))
    assert boats.change(b"Anna", crew=4, sunk=2.5)
    assert boats.get(b"Anna") == a_boat("Anna", crew=4, sunk=2.5)
    assert not boats.change(b"Berta", crew=4)
    assert boats.all() == [a_boat("Anna", crew=4, sunk=2.5)]


def test_changes_at_once_are_all_made(boats: Records, opened: Callable[[], Records]) -> None:
    boats.add(a_boat("Anna"))
    other = opened()

    def change(number: int) -> None:
        boats.change(b"Anna", crew=number) if number % 2 else other.change(b"Anna", sunk=float(number))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(change, range(40)))
    found = boats.get(b"Anna")
    assert found is not None
    assert found["crew"] % 2 == 1
    assert found["sunk"] % 2 == 0


def test_a_first_value_stays(boats: Records) -> None:
    boats.add(a_boat("Anna"))
    boats.fill(b"Anna", "sunk", 1.5)
    boats.fill(b"Anna", "sunk", 2.5)
    boats.fill(b"Berta", "sunk", 1.5)
    assert boats.all() == [a_boat("Anna", sunk=1.5)]


def test_what_was_removed_is_gone_everywhere(boats: Records, opened: Callable[[], Records]) -> None:
    boats.add(a_boat("Anna"))
    boats.add(a_boat("Berta"))
    other = opened()
    assert other.remove(b"Anna")
    assert not boats.remove(b"Anna")
    assert (boats.get(b"Anna"), boats.named("Anna")) == (None, None)
    assert names(boats.all()) == names(boats.of("north")) == ["Berta"]


def test_all_come_in_the_order_they_were_made(boats: Records) -> None:
    for name, created in (("Carla", 2.0), ("Berta", 1.0), ("Dora", 1.0), ("Anna", 3.5)):
        boats.add(a_boat(name, created=created))
    assert names(boats.all()) == ["Berta", "Dora", "Carla", "Anna"]


def test_a_group_is_found_alone_and_its_old_ones_forgotten(boats: Records) -> None:
    for name, harbour, created in (("Anna", "north", 1.0), ("Berta", "north", 2.0), ("Carla", "south", 1.0)):
        boats.add(a_boat(name, harbour=harbour, created=created))
    assert names(boats.of("north")) == ["Anna", "Berta"]
    assert boats.of("west") == []
    boats.forget("north", made_before=2.0)
    assert names(boats.all()) == ["Carla", "Berta"]
    assert boats.named("Anna") is None
    assert names(boats.of("south")) == ["Carla"]


def test_they_can_be_used_after_they_were_closed(boats: Records) -> None:
    boats.add(a_boat("Anna"))
    boats.close()
    boats.close()
    assert names(boats.all()) == ["Anna"]


def test_kinds_know_nothing_of_each_other(settings: Settings, boats: Records) -> None:
    ships = Kind("ships", BOATS.schema.replace("boats", "ships"), "ships", BOATS.columns, "hull", "name")
    boats.add(a_boat("Anna"))
    with closing(Archive(settings).records(ships, settings.data_dir / "boats.sqlite")) as others:
        assert others.all() == []
        assert others.add(a_boat("Anna"), only_first=True)
        others.remove(b"Anna")
    assert names(boats.all()) == ["Anna"]
