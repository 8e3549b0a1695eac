"""Skies, grounds and what a place has besides the things in it."""

from __future__ import annotations

import zlib
from functools import lru_cache
from math import cos, pi, sin
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from training.picturebook.world.light import FAR_TONES, GROUND_TONES, SKIES
from training.picturebook.world.pen import RGB, Point, circle_points
from training.picturebook.world.plan import COLOURS
from training.picturebook.world.tones import mix

if TYPE_CHECKING:
    from training.picturebook.world.plan import Plan

HORIZON = 0.1
"""How far below the middle the ground begins, in shares of the shorter side."""


class Scenery:
    """Paints a plan's place onto a canvas. Lengths are in shares of the canvas's shorter side, `unit`."""

    def __init__(self, plan: Plan, width: int, height: int) -> None:
        ground, time = plan.ground, plan.time
        assert ground is not None
        assert time is not None
        self.plan, self.ground, self.time = plan, ground, time
        self.unit = min(width, height)
        self.wide, self.high = width / self.unit, height / self.unit
        self.horizon = self.high / 2 + HORIZON
        self.tones = FAR_TONES[time]
        sky = "space" if ground == "space" else time
        self.image = _sky(sky, width, height, round(self.horizon * self.unit)).copy()
        self.pencil = ImageDraw.Draw(self.image)
        self.left = self._open_side() < 0

    def paint(self) -> Image.Image:
        extras = self.plan.extras
        if self.time == "night":
            self._stars()
        if self.ground == "space":
            self._planets()
        for name, draw in (
            ("rainbow", self._rainbow),
            ("sun", self._sun),
            ("moon", self._moon),
            ("mountains", self._mountains),
            ("clouds", self._clouds),
        ):
            if name in extras:
                draw()
        if self.ground == "sea":
            self._sea()
        elif self.ground != "space":
            self._hills()
        if "flowers" in extras:
            self._flowers()
        return self.image

    def shadow(self, x: float, y: float, width: float) -> None:
        """Under a thing whose foot is at (x, y)."""
        if self.ground == "space" or y < self.horizon:
            return
        near = GROUND_TONES[self.time][self.ground][1]
        tone = near if self.ground == "sea" else mix(near, (16, 16, 48), 0.22)
        self._oval(tone, x, y - 0.008, width * 0.52, 0.032)

    def _chance(self, what: str) -> Random:
        """Each part has its own, so that clouds don't move the hills."""
        return Random(self.plan.seed ^ zlib.crc32(what.encode()))

    def _open_side(self) -> int:
        """Where there is more room beside the thing."""
        if self.plan.things and self.plan.things[0].x:
            return -1 if self.plan.things[0].x > 0 else 1
        return self._chance("side").choice((-1, 1))

    def _polygon(self, tone: RGB, points: list[Point]) -> None:
        self.pencil.polygon([(x * self.unit, y * self.unit) for x, y in points], tone)

    def _band(self, tone: RGB, top: float, bottom: float) -> None:
        self._polygon(tone, [(0, top), (self.wide, top), (self.wide, bottom), (0, bottom)])

    def _oval(self, tone: RGB, x: float, y: float, across: float, down: float | None = None) -> None:
        u, down = self.unit, across if down is None else down
        x, y, across, down = x * u - 0.5, y * u - 0.5, max(across * u - 0.5, 0), max(down * u - 0.5, 0)
        self.pencil.ellipse((x - across, y - down, x + across, y + down), tone)

    def _corner(self, depth: float) -> Point:
        """In the upper corner on the open side; `depth` is a share of the sky's height."""
        return (0.17 if self.left else self.wide - 0.17), depth * self.horizon

    def _stars(self) -> None:
        chance = self._chance("stars")
        bottom = self.high if self.ground == "space" else self.horizon
        for _ in range(round(26 * self.wide * bottom)):
            x, y = chance.uniform(0, self.wide), chance.uniform(0, bottom)
            self._oval((255, 250, 224), x, y, chance.choice((0.006, 0.006, 0.0095)))

    def _planets(self) -> None:
        chance = self._chance("planets")
        away = 1 if self.left else -1
        x = self.wide / 2 + away * (self.wide / 2 - 0.13)
        y, r = self.high - chance.uniform(0.12, 0.2), chance.uniform(0.07, 0.1)
        tone = chance.choice(((226, 128, 84), (92, 176, 190), (196, 112, 176)))
        self._oval(tone, x, y, r)
        self._oval(mix(tone, (255, 255, 255), 0.35), x - 0.35 * r, y - 0.35 * r, 0.32 * r)
        if chance.random() < 0.5:
            tone = chance.choice(((222, 190, 120), (120, 150, 220)))
            self._oval(tone, self.wide / 2 + away * (self.wide / 2 - 0.2), chance.uniform(0.1, 0.16), 0.045)

    def _sun(self) -> None:
        tone = self.tones["sun"]
        if self.time == "sunset":
            hidden = self.ground == "forest" or "mountains" in self.plan.extras
            x, y = 0.2 if self.left else self.wide - 0.2, self.horizon - (0.37 if hidden else 0.1)
            self._oval(mix(tone, (255, 190, 90), 0.6), x, y, 0.16)
            self._oval(tone, x, y, 0.12)
            return
        x, y = self._corner(0.26 if self.time == "day" else 0.4)
        if self.time == "day":
            rays = [(0.15 if i % 2 == 0 else 0.105, point) for i, point in enumerate(circle_points(24))]
            self._polygon((255, 184, 40), [(x + r * a, y + r * b) for r, (a, b) in rays])
            self._oval(tone, x, y, 0.1)
            return
        self._oval(mix(tone, (255, 250, 224), 0.6), x, y, 0.14)
        self._oval(tone, x, y, 0.1)

    def _moon(self) -> None:
        x, y = self._corner(0.24)
        tone, r = self.tones["moon"], 0.105
        if self._chance("moon").random() < 0.4:
            outer = [(r * sin(t), -r * cos(t)) for t in (pi * i / 24 for i in range(25))]
            inner = [(0.42 * a, b) for a, b in reversed(outer)]
            self._polygon(tone, [(x + a - 0.3 * r, y + b) for a, b in outer + inner])
            return
        self._oval(tone, x, y, r)
        for a, b, size in ((-0.35, -0.3, 0.24), (0.36, 0.1, 0.28), (-0.2, 0.5, 0.18)):
            self._oval(self.tones["crater"], x + a * r, y + b * r, size * r)

    def _clouds(self) -> None:
        chance = self._chance("clouds")
        count = max(2, round(chance.choice((2, 3)) * self.wide))
        clear = bool({"sun", "moon"} & self.plan.extras)
        first = 0.34 if clear else 0.0
        room = self.wide - first
        for i in range(count):
            x = first + room * (i + 0.5) / count + chance.uniform(-0.03, 0.03)
            x = x if self.left else self.wide - x
            y = (0.17 if i % 2 == 0 else 0.36) * self.horizon + chance.uniform(-0.03, 0.03)
            r = chance.uniform(0.05, 0.065)
            for a, b, size in ((-1.3, 0.25, 0.75), (1.3, 0.25, 0.75), (-0.4, -0.2, 1.0), (0.55, 0.0, 0.9)):
                self._oval(self.tones["cloud"], x + a * r, y + b * r, size * r)
            self._oval(self.tones["cloud"], x, y + 0.6 * r, 1.9 * r, 0.42 * r)

    def _mountains(self) -> None:
        chance = self._chance("mountains")
        count = max(2, round(chance.choice((2, 3)) * self.wide))
        for i in range(count):
            x = self.wide * (i + 0.5) / count + chance.uniform(-0.05, 0.05)
            high, half = chance.uniform(0.24, 0.34), chance.uniform(0.26, 0.32)
            top, bottom = self.horizon - high, self.horizon + 0.08
            slope = half / (bottom - top)
            tone = mix(self.tones["mountain"], (0, 0, 0), 0.1 * (i % 2))
            self._polygon(tone, [(x, top), (x + half, bottom), (x - half, bottom)])
            cap = [(0.0, 0.0), (0.09, 1.0), (0.06, 0.4), (0.07, 0.0), (0.09, -0.45), (0.085, -1.0)]
            edge = [(x + side * deep * slope, top + deep) for deep, side in cap]
            self._polygon(self.tones["cap"], edge)

    def _rainbow(self) -> None:
        radius = min(0.46, self.horizon - 0.06)
        for i, name in enumerate(("red", "orange", "yellow", "green", "blue", "purple")):
            r = radius - 0.026 * i
            self._half_ring(mix(COLOURS[name], (255, 255, 255), 0.12), r, r - 0.028)

    def _half_ring(self, tone: RGB, outer: float, inner: float) -> None:
        x, y = self.wide / 2, self.horizon + 0.02
        bow = [(cos(pi * i / 40), -sin(pi * i / 40)) for i in range(41)]
        outside = [(x + outer * a, y + outer * b) for a, b in bow]
        self._polygon(tone, outside + [(x + inner * a, y + inner * b) for a, b in reversed(bow)])

    def _sea(self) -> None:
        chance = self._chance("waves")
        water, stripe = GROUND_TONES[self.time]["sea"]
        self._polygon(
            water, [(0, self.horizon), (self.wide, self.horizon), (self.wide, self.high), (0, self.high)]
        )
        deep = self.high - self.horizon
        for row, share in enumerate((0.16, 0.4, 0.64, 0.86)):
            step = 0.5 + 0.05 * row
            x = chance.uniform(-0.4, 0.1)
            while x < self.wide:
                self._oval(stripe, x + 0.13, self.horizon + share * deep, 0.13, 0.0125)
                x += step

    def _line(self, chance: Random, y: float, swing: float) -> list[Point]:
        """A gentle hill's edge across the picture."""
        phase, waves = chance.uniform(0, 2 * pi), chance.uniform(0.7, 1.1)
        steps = round(24 * self.wide)
        xs = [self.wide * i / steps for i in range(steps + 1)]
        return [(x, y + swing * sin(phase + 2 * pi * waves * x)) for x in xs]

    def _hills(self) -> None:
        chance = self._chance("hills")
        far, near = GROUND_TONES[self.time][self.ground]
        corners = [(self.wide, self.high), (0.0, self.high)]
        swing = 0.012 if self.ground == "forest" else 0.028
        back = self._line(chance, self.horizon, swing)
        if self.ground == "forest":
            self._firs()
        self._polygon(far, back + corners)
        front = self._line(chance, self.horizon + 0.1, swing)
        self._polygon(near, front + corners)
        if "river" in self.plan.extras:
            self._river(back)

    def _firs(self) -> None:
        chance = self._chance("firs")
        self._band(self.tones["back fir"], self.horizon - 0.095, self.horizon + 0.06)
        for tone, start, step, high in (("back fir", 0.0, 0.13, 0.25), ("fir", 0.07, 0.14, 0.2)):
            x = start - chance.uniform(0, 0.08)
            while x < self.wide + 0.08:
                self._fir(self.tones[tone], x, self.horizon + 0.035, high * chance.uniform(0.9, 1.2))
                x += step * chance.uniform(0.9, 1.1)

    def _fir(self, tone: RGB, x: float, foot: float, tall: float) -> None:
        for top, bottom, half in ((1.0, 0.42, 0.24), (0.68, 0.0, 0.36)):
            side, base = half * tall, foot - bottom * tall
            self._polygon(tone, [(x, foot - top * tall), (x + side, base), (x - side, base)])

    def _river(self, edge: list[Point]) -> None:
        side = -1 if self.left else 1
        phase = self._chance("river").uniform(-0.4, 0.4)
        start = self.wide / 2 + side * 0.12
        top = min(edge, key=lambda point: abs(point[0] - start))[1]
        left: list[Point] = []
        right: list[Point] = []
        for i in range(21):
            t = i / 20
            x = start + side * (0.2 * t + 0.08 * sin(2 * pi * t + phase) - 0.08 * sin(phase))
            half, y = 0.014 + 0.085 * t, top + (self.high - top) * t
            left.append((x - half, y))
            right.append((x + half, y))
        self._polygon(self.tones["river"], left + right[::-1])

    def _flowers(self) -> None:
        chance = self._chance("flowers")
        count = max(6, round(6 * self.wide))
        light = self.tones["flower light"]
        shade = tuple(part / 255 for part in light)
        for i in range(count):
            x = self.wide * (i + 0.5) / count + chance.uniform(-0.03, 0.03)
            y = self.high - (0.07 if i % 2 == 0 else 0.17) + chance.uniform(-0.02, 0.02)
            tone = chance.choice(((236, 64, 72), (255, 255, 255), (248, 120, 180), (150, 80, 200)))
            r, g, b = (round(c * s) for c, s in zip(tone, shade, strict=True))
            for a, d in circle_points(5):
                self._oval((r, g, b), x + 0.023 * a, y + 0.023 * d, 0.017)
            self._oval(mix((255, 206, 48), (20, 20, 60), 0.3 if self.time == "night" else 0), x, y, 0.015)


@lru_cache(maxsize=8)
def _sky(name: str, width: int, height: int, horizon: int) -> Image.Image:
    """Kept, and so not to be drawn on: a training run asks for the same few all the time."""
    stops = np.array(SKIES[name], dtype=np.float64)
    end = height if name == "space" else horizon
    where = np.clip(np.arange(height) / end, 0, 1)
    column = np.stack([np.interp(where, (0, 0.5, 1), stops[:, i]) for i in range(3)], axis=1)
    rows = np.round(column).astype(np.uint8)[:, None, :]
    return Image.fromarray(np.ascontiguousarray(rows)).resize((width, height), Image.Resampling.NEAREST)
