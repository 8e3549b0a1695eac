"""The page on samplers says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffusionapi.core import sampling
from diffusionapi.engine.samplers.schedules import plan
from tests.engine.samplers import problem

PAGE = (Path(__file__).parents[3] / "docs" / "samplers.md").read_text()


def rows() -> dict[str, list[str]]:
    """The cells of the table of samplers, by name."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if "|" in line
    ]
    return {row[0]: row[1:] for row in cells if row[0] in sampling.SAMPLERS and len(row) == 4}


@pytest.mark.parametrize("sampler", sampling.SAMPLERS)
def test_the_page_names_every_sampler_with_its_calls(sampler: str) -> None:
    chosen = sampling.resolve(sampler, "karras", 20, sampler_field="", schedule_field="")
    calls = plan(sampler, chosen.schedule, 20, problem.table()).calls
    said = rows()[sampler][1]
    if calls is None:
        assert "at most 300" in said
    else:
        assert {"n": 20, "n - 1": 19, "2n - 1": 39}[said] == calls


@pytest.mark.parametrize("schedule", sampling.SCHEDULES)
def test_the_page_names_every_schedule(schedule: str) -> None:
    assert f"| `{schedule}` |" in PAGE
