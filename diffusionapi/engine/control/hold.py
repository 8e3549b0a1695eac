"""What holds a picture: the ControlNets of a request, what they look at, and when they are at work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from diffusionapi.engine.control.acting import Acting
from diffusionapi.engine.img2img.resizing import RESIZE, fill, stretch
from diffusionapi.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image
    from torch import Tensor

    from diffusionapi.core.request import Control, GenerationRequest
    from diffusionapi.engine.control.nets import ControlNet
    from diffusionapi.engine.img2img.canvas import Canvas
    from diffusionapi.engine.passes import Pass

_HOLE = -1.0
"""What a net for inpainting is shown where it is to paint, in place of a colour."""


@dataclass(frozen=True, slots=True, eq=False)
class Hold:
    """One net of a request, with what it looks at in each pass."""

    net: ControlNet
    asked: Control
    first: Tensor
    second: Tensor | None = None

    def at(self, run: Pass, level: float) -> Acting | None:
        """None before its start and after its end."""
        if not self._acts(run, level):
            return None
        hint = self.first if self.second is None or not run.second else self.second
        return Acting(self.net, hint, self.asked.scale, self.asked.guess or self.net.everywhere_alike)

    def _acts(self, run: Pass, level: float) -> bool:
        """By diffusers' rule, with calls of the network for its steps, of which a sampler may need two."""
        before = after = run.plan.progress(run.calls, level)
        if run.plan.calls:
            before, after = run.calls / run.plan.calls, (run.calls + 1) / run.plan.calls
        return before >= self.asked.start and min(after, 1.0) <= self.asked.end


def hold(
    net: ControlNet,
    asked: Control,
    given: Image.Image,
    read: Callable[[Image.Image], Image.Image],
    request: GenerationRequest,
    canvas: Canvas | None,
) -> Hold:
    """`read` makes of a picture what the net wants to see."""
    shown = read(aligned(given, request, canvas))
    hint = tensor(shown)
    if asked.hint == "inpaint":
        if canvas is None or canvas.mask is None:
            raise BadRequest("controls", "the hint 'inpaint' needs a source with a mask")
        hint[:, torch.from_numpy(np.asarray(canvas.mask) > 255 / 2)] = _HOLE
    again = tensor(stretch(shown, request.final_size)) if request.hires else None
    return Hold(net, asked, hint.to(net.device), None if again is None else again.to(net.device))


def aligned(given: Image.Image, request: GenerationRequest, canvas: Canvas | None) -> Image.Image:
    """The picture at the size that is painted, lying on the source as it lies on the whole of it."""
    size = (request.width, request.height)
    if canvas is None or request.source is None:
        return stretch(given, size)
    if canvas.region is not None:
        return fill(stretch(given, canvas.whole.size).crop(canvas.region), size)
    return RESIZE[request.source.resize](given, size)


def tensor(picture: Image.Image) -> Tensor:
    levels = torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255)
    return levels.permute(2, 0, 1).contiguous()
