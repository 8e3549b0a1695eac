"""The time of day by the sky, the ground by what lies below the horizon."""

from __future__ import annotations

import numpy as np

from training.picturebook.judging.pixels import closeness, reduced
from training.picturebook.world.light import GROUND_TONES, SKIES
from training.picturebook.world.scenery import HORIZON

UNIT = 64
REACH = 160.0
"""Much: a model's light may be too strong, and still be that of no other time."""
GROUND_REACH = 110.0
"""Less: rivers and subjects are to count for no ground."""
LEAST = 0.2
"""Of a closeness of 1: less is no sky or no ground at all."""
GROUND_FROM = 0.13
"""How far below the horizon there is surely ground, however the hills run."""


def place(picture: np.ndarray) -> tuple[str | None, str | None]:
    """Time and ground. What the ground looks like depends on the time, and so on what the sky says."""
    small = reduced(picture, UNIT)
    high = len(small)
    horizon = high / 2 + HORIZON * UNIT
    skies = {name: _sky(small, name, horizon) for name in SKIES}
    name = max(skies, key=lambda one: skies[one])
    time = None if skies[name] < LEAST else "night" if name == "space" else name
    return time, _ground(small, time or "day", horizon)


def _sky(small: np.ndarray, name: str, horizon: float) -> float:
    """How near the sky's upper part is to the ideal one; clouds and suns are in the way of all alike."""
    rows = np.arange(round(0.75 * horizon))
    ideal = _tones(name, (rows + 0.5) / (len(small) if name == "space" else horizon))
    return float(closeness(small[rows], ideal[:, None], REACH).mean())


def _tones(name: str, where: np.ndarray) -> np.ndarray:
    stops = np.array(SKIES[name], dtype=np.float32)
    return np.stack([np.interp(where, (0, 0.5, 1), stops[:, i]) for i in range(3)], axis=1)


def _ground(small: np.ndarray, time: str, horizon: float) -> str | None:
    first = round(horizon + GROUND_FROM * UNIT)
    lower = small[first:]
    found = {
        name: float(np.maximum(*(closeness(lower, tone, GROUND_REACH) for tone in tones)).mean())
        for name, tones in GROUND_TONES[time].items()
    }
    if time == "night":
        ideal = _tones("space", (np.arange(first, len(small)) + 0.5) / len(small))
        found["space"] = float(closeness(lower, ideal[:, None], GROUND_REACH).mean())
    best = max(found, key=lambda one: found[one])
    return best if found[best] >= LEAST else None
