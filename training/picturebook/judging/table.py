"""Shares of right answers, as numbers and as markdown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from training.picturebook.judging.judge import QUESTIONS
from training.picturebook.world.plan import SHAPES

if TYPE_CHECKING:
    from training.picturebook.judging.judge import Verdict
    from training.picturebook.world.plan import Plan

KINDS = ("shapes", "objects", "scenes")
TARGETS = {"colour": 0.95, "background": 0.95, "time": 0.9, "ground": 0.9, "object": 0.85, "shape": 0.85}
NAMES = {
    "colour": "colour of the subject",
    "background": "colour of the background",
    "time": "time of day",
    "ground": "ground",
    "object": "which object",
    "shape": "which shape",
}


@dataclass(slots=True)
class Table:
    """Counted per kind of prompt and question. `how` says how the pictures were made."""

    how: str
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    right: Counter[tuple[str, str]] = field(default_factory=Counter)
    overlaps: list[float] = field(default_factory=list)
    exact: list[bool] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    """A line for each picture that got something wrong."""

    def add(self, plan: Plan, prompt: str, verdict: Verdict) -> None:
        for question, right in verdict.right.items():
            self.asked[kind(plan), question] += 1
            self.right[kind(plan), question] += right
        if verdict.seen.overlap is not None:
            self.overlaps.append(verdict.seen.overlap)
        if verdict.exact is not None:
            self.exact.append(verdict.exact)
        if verdict.wrong:
            self.mistakes.append(f"{prompt}: {verdict.mistakes}")

    def share(self, question: str, kinds: tuple[str, ...] = KINDS) -> float | None:
        """None where nobody was asked."""
        asked = sum(self.asked[one, question] for one in kinds)
        return sum(self.right[one, question] for one in kinds) / asked if asked else None

    def __str__(self) -> str:
        lines = [
            self.how,
            "",
            "| right | shapes | objects on a plain ground | scenes | all | target |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for question in QUESTIONS:
            counts = [self._count(kind, question) for kind in KINDS]
            share = self.share(question)
            whole = "" if share is None else f"{share:.1%}"
            cells = [NAMES[question], *counts, whole, f"{TARGETS[question]:.0%}"]
            lines.append(f"| {' | '.join(cells)} |")
        if self.overlaps:
            mean = sum(self.overlaps) / len(self.overlaps)
            lines += ["", f"Shapes have {mean:.2f} of their area in common with the nearest ideal outline."]
        if self.exact:
            share = sum(self.exact) / len(self.exact)
            lines += ["", f"{share:.0%} of the objects are drawn so that an ideal drawing fits line by line."]
        return "\n".join(lines)

    def _count(self, kind: str, question: str) -> str:
        asked = self.asked[kind, question]
        return f"{self.right[kind, question]} of {asked}" if asked else ""


def kind(plan: Plan) -> str:
    if plan.background is None:
        return "scenes"
    return "shapes" if plan.things[0].name in SHAPES else "objects"
