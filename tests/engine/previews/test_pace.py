from __future__ import annotations

from diffusionapi.engine.previews.pace import INTERVAL, Pace


def test_a_step_is_previewed_once() -> None:
    now = 5.0
    pace = Pace(now=lambda: now)
    assert pace.due(1)
    now += 1
    assert not pace.due(1)
    assert pace.due(2)


def test_two_previews_are_apart() -> None:
    now = 5.0
    pace = Pace(now=lambda: now)
    told = []
    for step in range(1, 41):
        now += INTERVAL / 4
        if pace.due(step):
            told.append(step)
    assert told == list(range(1, 41, 4))


def test_the_distance_may_be_longer() -> None:
    now = 5.0
    pace = Pace(now=lambda: now)
    assert pace.due(1, interval=2)
    now += 1.9
    assert not pace.due(2)
    now += 0.2
    assert pace.due(3)
