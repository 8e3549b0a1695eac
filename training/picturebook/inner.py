"""The inside of the UNet, which learns first.

Most of what a prompt means is decided where the picture is coarse. The levels that work there are trained
alone on small pictures, at a third of the whole's cost; then a level is put around them, and another. A small
picture is the mean of the large one, and so is its noise: `noise.alphas(skipped)` keeps the times in step, so
what was learned stays true inside the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel
    from torch import Tensor


class Inner(nn.Module):
    """A UNet without its `skipped` outermost levels, behind an entrance and an exit that are thrown away."""

    def __init__(self, unet: UNet2DConditionModel, skipped: int) -> None:
        super().__init__()
        widths = unet.config.block_out_channels
        self._whole = (unet,)  # in a tuple: its weights are not this module's
        self._skipped = skipped
        self.entrance = nn.Conv2d(4, widths[skipped - 1], 3, padding=1)
        self.norm = nn.GroupNorm(unet.config.norm_num_groups, widths[skipped])
        self.exit = nn.Conv2d(widths[skipped], 4, 3, padding=1)

    def forward(self, noised: Tensor, times: Tensor, states: Tensor) -> Tensor:
        (unet,) = self._whole
        time = unet.time_embedding(unet.time_proj(times).to(noised.dtype))
        time = time + unet.get_aug_embed(time, states, {})
        hidden = self.entrance(noised)
        skips = [hidden]
        for block in unet.down_blocks[self._skipped :]:
            hidden, made = block(hidden, time, **_words(block, states))
            skips += made
        hidden = unet.mid_block(hidden, time, encoder_hidden_states=states)
        blocks = unet.up_blocks[: len(unet.up_blocks) - self._skipped]
        for block in blocks:
            count = len(block.resnets)
            skips, used = skips[:-count], skips[-count:]
            upsamplers = block.upsamplers
            try:
                if block is blocks[-1]:
                    block.upsamplers = None  # the exit is at this size
                hidden = block(hidden, tuple(used), time, **_words(block, states))
            finally:
                block.upsamplers = upsamplers
        told: Tensor = self.exit(functional.silu(self.norm(hidden)))
        return told


def _words(block: nn.Module, states: Tensor) -> dict[str, Tensor]:
    return {"encoder_hidden_states": states} if getattr(block, "has_cross_attention", False) else {}
