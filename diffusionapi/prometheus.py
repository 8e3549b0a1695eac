"""Figures as Prometheus reads them: text exposition format, version 0.0.4."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sample:
    value: float
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Family:
    """Figures of one name; a counter's ends in `_total`. Without samples it is left out."""

    name: str
    kind: Literal["gauge", "counter"]
    meaning: str
    samples: tuple[Sample, ...]


def gauge(name: str, meaning: str, value: float) -> Family:
    return Family(name, "gauge", meaning, (Sample(value),))


def counter(name: str, meaning: str, value: float) -> Family:
    return Family(name, "counter", meaning, (Sample(value),))


def text(families: Iterable[Family]) -> str:
    return "".join(line + "\n" for one in families if one.samples for line in _lines(one))


def _lines(family: Family) -> Iterable[str]:
    name = f"diffusionapi_{family.name}"
    yield f"# HELP {name} {family.meaning}"
    yield f"# TYPE {name} {family.kind}"
    for one in family.samples:
        labels = ",".join(f'{label}="{_escaped(value)}"' for label, value in one.labels.items())
        yield f"{name}{{{labels}}} {_number(one.value)}" if labels else f"{name} {_number(one.value)}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.6g}"
