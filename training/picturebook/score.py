"""Measures whether a model paints what it is told, by prompts whose combinations it never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tqdm import tqdm

from training.picturebook.judging import asked
from training.picturebook.judging.judge import judge
from training.picturebook.judging.marks import marked
from training.picturebook.judging.table import Table
from training.picturebook.world.captions import plain_caption

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy as np
    from PIL import Image

    from training.picturebook.world.plan import Plan

SHOWN = 64
"""Pictures on the sheet."""
COLUMNS = 8

prompts = asked.prompts


def score(
    model: Path,
    *,
    prompts: int,
    size: int,
    steps: int,
    guidance: float,
    seed: int,
    device: str,
    sheet: Path | None,
    batch: int,
) -> Table:
    """Judges one picture of each of so many prompts; `seed` decides the prompts and the noise."""
    from training.picturebook.judging.paintings import load, paintings
    from training.picturebook.sheet import sheet as on_a_sheet

    plans = asked.prompts(prompts, seed)
    captions = [plain_caption(plan) for plan in plans]
    kept = sum(plan.held_out for plan in plans)
    table = Table(
        f"{kept} prompts kept from the training and {prompts - kept} of scenes without a subject, "
        f"no two alike, {size} x {size} pixels, {steps} steps of DPM++ 2M Karras, guidance {guidance:g}, "
        "one picture each:"
    )
    drawn = paintings(
        load(model, device), captions, size=size, steps=steps, guidance=guidance, seed=seed, batch=batch
    )
    shown = measure(plans, captions, tqdm(drawn, total=prompts, desc="score", unit="picture"), table)
    if sheet is not None:
        on_a_sheet(shown, captions[: len(shown)], COLUMNS).save(sheet)
    return table


def measure(
    plans: Sequence[Plan], captions: Sequence[str], pictures: Iterable[np.ndarray], table: Table
) -> list[Image.Image]:
    """Fills the table, and returns the first pictures with their mistakes marked."""
    shown: list[Image.Image] = []
    for plan, caption, picture in zip(plans, captions, pictures, strict=True):
        verdict = judge(picture, plan)
        table.add(plan, caption, verdict)
        if len(shown) < SHOWN:
            shown.append(marked(picture, verdict))
    return shown
