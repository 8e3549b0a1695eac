"""What a picture of the world shows, decided before it is drawn or described."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 38, 38),
    "orange": (246, 132, 28),
    "yellow": (250, 208, 44),
    "green": (52, 162, 72),
    "blue": (40, 84, 200),
    "purple": (124, 52, 168),
    "pink": (246, 134, 176),
    "brown": (124, 76, 42),
    "black": (24, 24, 28),
    "white": (248, 248, 246),
    "gray": (138, 138, 146),
}

SHAPES = ("circle", "square", "triangle", "star", "heart", "diamond", "ring", "cross")

OBJECTS = (
    "house",
    "boat",
    "tree",
    "cat",
    "dog",
    "robot",
    "castle",
    "balloon",
    "rocket",
    "snowman",
    "flower",
    "mushroom",
)

USUAL_COLOUR = {
    "house": "red",
    "boat": "brown",
    "tree": "green",
    "cat": "orange",
    "dog": "brown",
    "robot": "gray",
    "castle": "gray",
    "balloon": "red",
    "rocket": "white",
    "snowman": "white",
    "flower": "pink",
    "mushroom": "red",
}
"""The colour of an object whose colour nobody names."""

GROUNDS = ("meadow", "forest", "sea", "snow", "desert", "space")
TIMES = ("day", "night", "sunset", "sunrise")
EXTRAS = ("sun", "moon", "clouds", "mountains", "river", "rainbow", "flowers")

HELD_OUT = 0.1
"""Share of the combinations that no training picture shows; the scorer asks for these alone."""


@dataclass(frozen=True, slots=True)
class Thing:
    """A subject in its colour. `x` and `y` are the middle, `size` the larger side of its outline, in shares
    of the picture's shorter side, counted from the picture's middle: x > 0 is right, y > 0 is down."""

    name: str
    colour: str
    x: float
    y: float
    size: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Either `background` is a colour and the rest of the place is None, or `ground` and `time` are set.

    Space has no time of day; its `time` is "night". `seed` decides everything that nobody asks for: where the
    clouds are, how the hills run.
    """

    things: tuple[Thing, ...]
    background: str | None = None
    ground: str | None = None
    time: str | None = None
    extras: frozenset[str] = frozenset()
    seed: int = 0

    @property
    def held_out(self) -> bool:
        """Whether this combination of subject, colour and place is kept from training."""
        if not self.things:
            return False
        thing = self.things[0]
        key = f"{thing.name} {thing.colour} {self.background} {self.ground} {self.time}"
        return zlib.crc32(key.encode()) % 1000 < HELD_OUT * 1000


def random_plan(rng: Random) -> Plan:
    """Any picture of the world, the ones kept for the scorer among them."""
    kind = rng.random()
    if kind < 0.32:
        return _shapes(rng)
    if kind < 0.52:
        return _plain(rng)
    return _scene(rng)


def training_plan(rng: Random) -> Plan:
    while (plan := random_plan(rng)).held_out:
        pass
    return plan


def _seed(rng: Random) -> int:
    return rng.randrange(2**31)


def _size(rng: Random) -> float:
    """Small below 0.4, big above 0.62, see `size_word`."""
    return rng.choices((rng.uniform(0.32, 0.36), rng.uniform(0.5, 0.56), rng.uniform(0.7, 0.76)), (1, 6, 1))[
        0
    ]


def size_word(thing: Thing) -> str | None:
    if thing.size < 0.41:
        return "small"
    return "big" if thing.size > 0.63 else None


def _middle(rng: Random, size: float) -> float:
    room = max(0.0, 0.46 - size / 2)
    return rng.uniform(-1, 1) * min(room, 0.04)


def _shapes(rng: Random) -> Plan:
    background, colour, other = rng.sample(tuple(COLOURS), 3)
    if rng.random() < 0.85:
        size = _size(rng)
        thing = Thing(rng.choice(SHAPES), colour, _middle(rng, size), _middle(rng, size), size)
        return Plan((thing,), background, seed=_seed(rng))
    size = rng.uniform(0.34, 0.4)
    left, right = rng.sample(SHAPES, 2)
    drop = rng.uniform(-0.05, 0.05)
    things = (Thing(left, colour, -0.25, drop, size), Thing(right, other, 0.25, drop, size))
    return Plan(things, background, seed=_seed(rng))


def _plain(rng: Random) -> Plan:
    background = rng.choice(tuple(COLOURS))
    name = rng.choice(OBJECTS)
    colour = _colour(rng, name, background)
    size = _size(rng)
    return Plan(
        (Thing(name, colour, _middle(rng, size), _middle(rng, size), size),), background, seed=_seed(rng)
    )


def _colour(rng: Random, name: str, unlike: str | None = None) -> str:
    """Often the usual one, never the background's."""
    usual = USUAL_COLOUR[name]
    if rng.random() < 0.3 and usual != unlike:
        return usual
    return rng.choice([colour for colour in COLOURS if colour != unlike])


IN_SPACE = ("rocket", "robot", "cat", "balloon")
AT_SEA = ("boat", "balloon")


def grounds_for(name: str) -> tuple[str, ...]:
    """Where an object can stand."""
    if name == "boat":
        return ("sea",)
    grounds = [one for one in GROUNDS if one not in ("sea", "space")]
    if name in AT_SEA:
        grounds.append("sea")
    if name in IN_SPACE:
        grounds.append("space")
    return tuple(grounds)


def extras_for(ground: str, time: str) -> tuple[str, ...]:
    """What can be seen there and then."""
    if ground == "space":
        return ("moon",)
    extras = ["clouds", "mountains"]
    extras.append("moon" if time == "night" else "sun")
    if ground in ("meadow", "forest", "snow"):
        extras.append("river")
    if ground == "meadow":
        extras.append("flowers")
    if time == "day":
        extras.append("rainbow")
    return tuple(extras)


def _scene(rng: Random) -> Plan:
    ground = rng.choice(GROUNDS)
    time = "night" if ground == "space" else rng.choice(TIMES)
    possible = extras_for(ground, time)
    extras = frozenset(rng.sample(possible, min(len(possible), rng.choices((0, 1, 2, 3), (4, 4, 2, 1))[0])))
    things: tuple[Thing, ...] = ()
    if rng.random() < 0.85:
        name = rng.choice([one for one in OBJECTS if ground in grounds_for(one)])
        size = rng.choices((rng.uniform(0.32, 0.36), rng.uniform(0.5, 0.56)), (1, 6))[0]
        y = -0.16 if name == "balloon" else 0.12
        if ground == "space":
            y = 0.0
        y += rng.uniform(-0.02, 0.02)
        things = (Thing(name, _colour(rng, name), rng.uniform(-0.06, 0.06), y, size),)
    return Plan(things, None, ground, time, extras, _seed(rng))
