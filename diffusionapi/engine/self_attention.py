"""Self-attention guidance (SAG; Hong et al. 2023, arXiv:2210.00939): away from the picture without detail.

What the UNet's middle attends to most is blurred in the clean picture that it predicts, and noised again as
it was. From that the network predicts worse: with x0 of the side without the wanted words, b the same with
blurred places, and D(x + b - x0) what is predicted then, the guided prediction moves by
scale * (b - D(x + b - x0)). That is the paper's eps + scale * (eps(x) - eps(x + b - x0)), whatever the
network itself predicts.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from diffusionapi.engine.devices import sent
from diffusionapi.engine.tiling import blur_padded

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from diffusionapi.core.request import Tiling
    from diffusionapi.engine.denoiser import Call

_THRESHOLD = 1.0
"""Of the attention that a cell gets from all cells: its fair share. The paper's psi."""
_KERNEL, _SIGMA = 9, 1.0
"""Of the blur, in cells of the latents."""


@dataclass(slots=True, eq=False)
class Attended:
    """What a network call leaves here for a picture that asked for it, of its last row.

    That is the one without the wanted words; where there is no other, the one with them.
    """

    clean: Tensor = field(init=False)
    """Its x0."""
    share: Tensor = field(init=False)
    """(cells of the middle,): how much attention each of them gets, 1 on the average."""


def asked(call: Call, scale: float) -> Generator[Call, Tensor | None, Tensor]:
    """The prediction that a call asks for, guided so; it takes a second call, with one row."""
    if not scale:
        answer = yield call
        assert answer is not None
        return answer
    attended = Attended()
    answer = yield replace(call, attended=attended)
    assert answer is not None
    blurred = _blurred(attended, call.weights.model.unet, call.tiling)
    without = yield _without(call, call.x + blurred - attended.clean)
    assert without is not None
    return answer + scale * (blurred - without)


def _without(call: Call, x: Tensor) -> Call:
    """The question of the side that was blurred, alone."""
    if not call.guided:
        return replace(call, x=x)
    words = call.words
    unwanted = replace(words, positive=((words.negative, 1.0),), positive_sizes=words.negative_sizes)
    # In guess mode that side hears no ControlNet, and so must not here.
    heard = tuple(one for one in call.controls if not one.guess)
    return replace(call, x=x, words=unwanted, guidance=1.0, controls=heard)


def _blurred(attended: Attended, unet: Any, tiling: Tiling) -> Tensor:
    """The clean latents, blurred where the middle attends to; (4, h, w)."""
    clean = attended.clean[None]
    height, width = clean.shape[-2:]
    halvings = 2 ** (len(unet.config.block_out_channels) - 1)
    cells = -(-height // halvings), -(-width // halvings)
    mask = (attended.share > _THRESHOLD).view(1, 1, *cells).to(clean.dtype)
    mask = functional.interpolate(mask, (height, width))
    return torch.lerp(clean, blur(clean, tiling), mask)[0]


def blur(x: Tensor, tiling: Tiling) -> Tensor:
    """(pictures, channels, h, w)"""
    distance = torch.arange(_KERNEL, dtype=torch.float32) - _KERNEL // 2
    bell = torch.exp(-0.5 * (distance / _SIGMA) ** 2)
    bell = sent(bell / bell.sum(), x.device).to(x.dtype)
    channels = x.shape[1]
    x = blur_padded(x, _KERNEL // 2, tiling)
    x = functional.conv2d(x, bell.view(1, 1, 1, -1).expand(channels, 1, 1, _KERNEL), groups=channels)
    return functional.conv2d(x, bell.view(1, 1, -1, 1).expand(channels, 1, _KERNEL, 1), groups=channels)


# --- what the middle attends to -----------------------------------------------------------------------------


@contextmanager
def watched(unet: Any, rows: Sequence[int]) -> Iterator[list[Tensor]]:
    """Filled, while the network is called inside it, with the `share` of each of these rows.

    Of the middle's first self-attention: SD has no other there, and of SDXL's ten ComfyUI takes it, too.
    It is computed beside the network's own arithmetic, which stays as it is to the bit for all rows.
    """
    shares: list[Tensor] = []
    if not rows:
        yield shares
        return
    attention = unet.mid_block.attentions[0].transformer_blocks[0].attn1

    def watch(attn: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], _answer: Any) -> None:
        given = arguments[0] if arguments else keywords["hidden_states"]
        shares.extend(_shares(attn, given[sent(torch.tensor(rows), given.device)]))

    hook = attention.register_forward_hook(watch, with_kwargs=True)
    try:
        yield shares
    finally:
        hook.remove()


def _shares(attn: Any, given: Tensor) -> Tensor:
    """(rows, cells): the mean of the heads, summed over those that attend; one head in memory at a time."""
    queries, keys = (
        one(given).unflatten(-1, (attn.heads, -1)).movedim(-2, 0).float() for one in (attn.to_q, attn.to_k)
    )
    total = torch.zeros(given.shape[:2], device=given.device)
    for query, key in zip(queries, keys, strict=True):
        total += (query @ key.transpose(-1, -2) * attn.scale).softmax(dim=-1).sum(dim=-2)
    shares: Tensor = total / attn.heads
    return shares
