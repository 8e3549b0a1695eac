"""What a model is asked for: combinations that no training picture shows."""

from __future__ import annotations

from random import Random

from training.picturebook.judging.table import kind
from training.picturebook.world.plan import Plan, random_plan

TRIES = 2000
"""Plans that are thought of for a prompt, at most: most are of what was shown, or of a kind there are enough
of."""
BARE = 0.1
"""Share of the scenes that have no subject. No combination is kept from training there."""


def prompts(count: int, seed: int) -> list[Plan]:
    """A quarter shapes, a quarter objects on a plain ground, the rest scenes, in mixed order. No two ask for
    the same; ValueError if the world has not so many that differ."""
    rng = Random(seed)
    wanted = {"shapes": count // 4, "objects": count // 4}
    bare = round(BARE * (count - sum(wanted.values())))
    wanted["scenes"] = count - sum(wanted.values()) - bare
    wanted["bare"] = bare
    found: dict[object, Plan] = {}
    for _ in range(TRIES * count):
        plan = random_plan(rng)
        what = kind(plan) if plan.things else "bare"
        if wanted[what] and len(plan.things) < 2 and plan.held_out == bool(plan.things):
            if found.setdefault(_asks_for(plan), plan) is plan:
                wanted[what] -= 1
            if len(found) == count:
                break
    else:
        raise ValueError(f"the world has no {count} prompts that differ; ask for fewer")
    mixed = list(found.values())
    rng.shuffle(mixed)
    return mixed


def _asks_for(plan: Plan) -> object:
    """All that a prompt says of it."""
    things = tuple((thing.name, thing.colour) for thing in plan.things)
    return things, plan.background, plan.ground, plan.time, plan.extras
