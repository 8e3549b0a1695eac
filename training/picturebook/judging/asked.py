"""What a model is asked for: combinations that no training picture shows."""

from __future__ import annotations

from random import Random

from training.picturebook.judging.table import kind
from training.picturebook.world.plan import Plan, random_plan

BARE = 0.1
"""Share of the scenes that have no subject. No combination is kept from training there."""


def prompts(count: int, seed: int) -> list[Plan]:
    """A quarter shapes, a quarter objects on a plain ground, the rest scenes, in mixed order."""
    rng = Random(seed)
    wanted = {"shapes": count // 4, "objects": count // 4}
    bare = round(BARE * (count - sum(wanted.values())))
    wanted["scenes"] = count - sum(wanted.values()) - bare
    wanted["bare"] = bare
    found: list[Plan] = []
    while len(found) < count:
        plan = random_plan(rng)
        what = kind(plan) if plan.things else "bare"
        if wanted[what] and len(plan.things) < 2 and plan.held_out == bool(plan.things):
            wanted[what] -= 1
            found.append(plan)
    rng.shuffle(found)
    return found
