"""What was measured: a figure, the median and p99 it is made of, and all of them as a table or as JSON."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HEADINGS = ("", "value", "p99", "")


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` is the median where there is a p99."""

    name: str
    value: float
    p99: float | None
    unit: str


def single(name: str, value: float, unit: str) -> Figure:
    return Figure(name, value, None, unit)


def durations(name: str, seconds: Sequence[float]) -> Figure:
    """Median and p99 of many durations, in milliseconds."""
    return Figure(name, 1000 * statistics.median(seconds), 1000 * _p99(seconds), "ms")


def ratio(name: str, of: Figure, to: Figure) -> Figure:
    return Figure(name, of.value / to.value, None, "times")


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]


def as_text(facts: Mapping[str, str], figures: Sequence[Figure]) -> str:
    widest = max(map(len, facts))
    head = [f"{name.ljust(widest)}  {fact}" for name, fact in facts.items()]
    return "\n".join([*head, "", *_table(figures), ""])


def _table(figures: Sequence[Figure]) -> list[str]:
    rows = [_HEADINGS, *((one.name, _digits(one.value), _digits(one.p99), one.unit) for one in figures)]
    names, values, p99s = (max(len(row[column]) for row in rows) for column in range(3))
    return [
        f"{name.ljust(names)}  {value.rjust(values)}  {p99.rjust(p99s)}  {unit}".rstrip()
        for name, value, p99, unit in rows
    ]


def _digits(value: float | None) -> str:
    """Three digits that count; more would be noise."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def as_json(facts: Mapping[str, str], figures: Sequence[Figure]) -> str:
    return json.dumps({"machine": facts, "figures": [asdict(one) for one in figures]}, indent=2) + "\n"
