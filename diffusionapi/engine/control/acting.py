"""What ControlNets add to a UNet's inner signals, row by row of a network call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from diffusionapi.engine.devices import sent

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from diffusionapi.engine.control.nets import ControlNet


@dataclass(frozen=True, slots=True, eq=False)
class Acting:
    """A ControlNet at work on one picture, at one step."""

    net: ControlNet
    hint: Tensor
    """What it looks at: (3, height, width) in 0..1, of the picture's size; -1 where there is a hole."""
    scale: float
    guess: bool
    """Only the wanted side hears it, deeper layers more (ControlNet's guess mode)."""

    @property
    def lane(self) -> Hashable:
        """What has to agree for pictures to share a call."""
        return self.net.path, self.guess, tuple(self.hint.shape)


@dataclass(frozen=True, slots=True)
class Heard:
    """Who hears a net in a row of a call: the nets at work there, and whether it is of the wanted side."""

    controls: tuple[Acting, ...]
    wanted: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What the rows of a UNet's call see, as the UNet does, but without the channels beside the latents."""

    latents: Tensor
    timesteps: Tensor
    context: Tensor
    sizes: Mapping[str, Tensor] | None

    def of(self, rows: Sequence[int]) -> Seen:
        if len(rows) == len(self.latents):
            return self
        chosen = sent(torch.tensor(rows), self.latents.device)
        sizes = {name: one[chosen] for name, one in self.sizes.items()} if self.sizes else None
        return Seen(self.latents[chosen], self.timesteps[chosen], self.context[chosen], sizes)


def added(rows: Sequence[Heard], seen: Seen) -> dict[str, Any]:
    """What the UNet takes besides. All rows have the same nets, in the same order."""
    total: list[Tensor] | None = None
    for place in range(len(rows[0].controls)):
        signals = _signals([(row.controls[place], row.wanted) for row in rows], seen)
        total = signals if total is None else [a + b for a, b in zip(total, signals, strict=True)]
    if total is None:
        return {}
    return {"down_block_additional_residuals": total[:-1], "mid_block_additional_residual": total[-1]}


def _signals(rows: Sequence[tuple[Acting, bool]], seen: Seen) -> list[Tensor]:
    """Those of one net, the middle's at the end; zeros for rows that do not hear it."""
    net, guess = rows[0][0].net, rows[0][0].guess
    hearing = [number for number, (_, wanted) in enumerate(rows) if wanted or not guess]
    acting, heard = [rows[number][0] for number in hearing], seen.of(hearing)
    down, middle = net.network(
        heard.latents,
        heard.timesteps,
        encoder_hidden_states=heard.context,
        controlnet_cond=torch.stack([one.hint for one in acting]).to(net.dtype),
        added_cond_kwargs=heard.sizes,
        guess_mode=guess,
        return_dict=False,
    )
    scales = sent(torch.tensor([one.scale for one in acting]), middle.device).to(net.dtype).view(-1, 1, 1, 1)
    return [_spread(one * scales, hearing, len(rows)) for one in (*down, middle)]


def _spread(signal: Tensor, hearing: Sequence[int], rows: int) -> Tensor:
    if len(hearing) == rows:
        return signal
    spread = signal.new_zeros(rows, *signal.shape[1:])
    return spread.index_copy(0, sent(torch.tensor(hearing), signal.device), signal)
