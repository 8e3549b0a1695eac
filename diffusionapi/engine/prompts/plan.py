"""The prompts of one picture over its steps: which text holds when, how strongly, and all of one length."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from diffusionapi.engine.prompts.cache import Encoded
from diffusionapi.engine.prompts.parse import subprompts
from diffusionapi.engine.prompts.schedule import scheduled

if TYPE_CHECKING:
    from diffusionapi.engine.prompts.encode import PromptEncoder


class Conditioning:
    """The prompts of one pass of `steps` steps, encoded at once; LoRA tags are out of them already.

    Steps count from 1; what is asked before the first or after the last gets the first or the last.
    `first_pass` is the number of steps of the pass before this one, if there was one (see `scheduled`).
    All contexts have one length.
    """

    def __init__(
        self,
        encoder: PromptEncoder,
        prompt: str,
        negative_prompt: str,
        steps: int,
        first_pass: int | None = None,
    ) -> None:
        parts = subprompts(prompt)
        self._weights = [weight for _, weight in parts]
        timelines = [_timeline(encoder, scheduled(text, steps, first_pass)) for text, _ in parts]
        zeroed = encoder.zeroes_empty_prompt and not negative_prompt.strip()
        if not zeroed:
            timelines.append(_timeline(encoder, scheduled(negative_prompt, steps, first_pass)))
        timelines = _of_one_length(timelines)
        self._positive = timelines[: len(parts)]
        self._negative = timelines[0].zeroed() if zeroed else timelines[-1]

    def positive(self, step: int) -> list[tuple[Encoded, float]]:
        """The prompts that AND joins, each with its weight; mostly one."""
        return [(one.at(step), weight) for one, weight in zip(self._positive, self._weights, strict=True)]

    def negative(self, step: int) -> Encoded:
        return self._negative.at(step)


@dataclass(frozen=True, slots=True)
class _Timeline:
    last_steps: list[int]
    encoded: list[Encoded]

    def at(self, step: int) -> Encoded:
        return self.encoded[min(bisect_left(self.last_steps, step), len(self.encoded) - 1)]

    def zeroed(self) -> _Timeline:
        """Zeros at every step."""
        one = self.encoded[0]
        pooled = None if one.pooled is None else torch.zeros_like(one.pooled)
        return _Timeline([1], [Encoded(torch.zeros_like(one.context), pooled)])


def _timeline(encoder: PromptEncoder, plan: list[tuple[int, str]]) -> _Timeline:
    encoded = {text: encoder.encode(text) for _, text in plan}
    return _Timeline([last_step for last_step, _ in plan], [encoded[text] for _, text in plan])


def _of_one_length(timelines: list[_Timeline]) -> list[_Timeline]:
    """Shorter contexts are repeated as wholes, so that one network call serves all.

    Attention gives each of the repeated tokens its share of what the token had, so nothing else changes.
    """
    different = {one for timeline in timelines for one in timeline.encoded}
    tokens = math.lcm(*(len(one.context) for one in different))
    longer = {one: _repeated(one, tokens // len(one.context)) for one in different}
    return [_Timeline(each.last_steps, [longer[one] for one in each.encoded]) for each in timelines]


def _repeated(encoded: Encoded, times: int) -> Encoded:
    return encoded if times == 1 else Encoded(encoded.context.repeat(times, 1), encoded.pooled)
