"""Straight lines, by M-LSD (Gu et al. 2022, arXiv:2106.00186), whose large network is given as its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.nn import functional

from diffusionapi.engine.hints.edges import shown
from diffusionapi.engine.hints.network import looked_at

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from diffusionapi.engine.hints.network import Network

_MOST_LINES = 200
_LEAST_SCORE, _LEAST_LENGTH = 0.1, 0.1
_STAGES = ((1, 1), (2, 2), (3, 2), (4, 2), (3, 1))
"""MobileNet V2's: so many blocks, the first of which takes every so-many-th pixel."""
_TAPPED = (1, 3, 6, 10, 13)
"""After which blocks its signals go on to the part that is M-LSD's own."""


@torch.inference_mode()
def straight_lines(network: Network, picture: Image.Image) -> Image.Image:
    """White lines on black, one pixel wide where the network looks."""
    levels = looked_at(picture)
    opaque = np.concatenate([levels, np.ones_like(levels[:, :, :1])], axis=2)
    said = maps(network, network.sent(opaque) / 127.5 - 1)
    canvas = np.zeros(levels.shape[:2], dtype=np.uint8)
    for line in _lines(said):
        x1, y1, x2, y2 = (int(one) for one in line)
        cv2.line(canvas, (x1, y1), (x2, y2), 255, 1)
    return shown(canvas.astype(np.float64), picture)


def _lines(maps: Tensor) -> list[list[float]]:
    """From where the network is surest of a line's middle, and how far off it sees its two ends."""
    width = maps.shape[-1]
    heat = torch.sigmoid(maps[0, 0])
    peaks = functional.max_pool2d(heat[None, None], 3, stride=1, padding=1)[0, 0] == heat
    scores, places = (heat * peaks).flatten().topk(min(_MOST_LINES, heat.numel()))
    ends = maps[0, 1:5].permute(1, 2, 0).cpu().numpy()
    found = []
    for score, place in zip(scores.tolist(), places.tolist(), strict=True):
        y, x = divmod(place, width)
        dx1, dy1, dx2, dy2 = ends[y, x].tolist()
        if score > _LEAST_SCORE and np.hypot(dx1 - dx2, dy1 - dy2) > _LEAST_LENGTH:
            # The maps have half the picture's size.
            found.append([2 * (x + dx1), 2 * (y + dy1), 2 * (x + dx2), 2 * (y + dy2)])
    return found


def maps(network: Network, x: Tensor) -> Tensor:
    """How sure it is of a middle, and the ways to both ends: (1, 9, height / 2, width / 2), five of use."""
    x = _cleared(network, "backbone.features.0", x, stride=2)
    tapped, number = [], 1
    for blocks, stride in _STAGES:
        for block in range(blocks):
            x = _inverted(network, f"backbone.features.{number}.conv", x, stride if block == 0 else 1)
            if number in _TAPPED:
                tapped.append(x)
            number += 1
    fine, signals = reversed(tapped[:-1]), tapped[-1]
    for place, (name, other) in enumerate(zip((15, 17, 19, 21), fine, strict=True)):
        coarse = functional.relu(_joined(network, f"block{name}.conv1", signals))
        if place:
            coarse = functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=True)
        own = functional.relu(_joined(network, f"block{name}.conv2", other))
        signals = torch.cat([own, coarse], dim=1)
        following = f"block{name + 1}"
        signals = functional.relu(_joined(network, f"{following}.conv1", signals)) + signals
        signals = functional.relu(_joined(network, f"{following}.conv2", signals))
    signals = functional.relu(_joined(network, "block23.conv1", signals, padding=5, dilation=5))
    signals = functional.relu(_joined(network, "block23.conv2", signals))
    return network.convolved("block23.conv3", signals)[:, 7:]


def _inverted(network: Network, name: str, x: Tensor, stride: int) -> Tensor:
    """MobileNet's block: widened, convolved channel by channel, narrowed."""
    inner, place = x, 0
    if f"{name}.1.0.weight" in network:
        inner, place = _cleared(network, f"{name}.0", x), 1
    inner = _cleared(network, f"{name}.{place}", inner, stride=stride, groups=inner.shape[1])
    inner = _normed(network, f"{name}.{place + 2}", network.convolved(f"{name}.{place + 1}", inner))
    return x + inner if stride == 1 and x.shape == inner.shape else inner


def _cleared(network: Network, name: str, x: Tensor, *, stride: int = 1, groups: int = 1) -> Tensor:
    """Convolved, normed, cut off at 6; TensorFlow pads only far edges where it takes every other pixel."""
    padding = {}
    if stride == 2:
        x, padding = functional.pad(x, (0, 1, 0, 1)), {"padding": 0}
    x = network.convolved(f"{name}.0", x, stride=stride, groups=groups, **padding)
    return functional.relu6(_normed(network, f"{name}.1", x))


def _joined(network: Network, name: str, x: Tensor, **options: int) -> Tensor:
    return _normed(network, f"{name}.1", network.convolved(f"{name}.0", x, **options))


def _normed(network: Network, name: str, x: Tensor) -> Tensor:
    mean, variance, weight, bias = (
        network[f"{name}.{one}"] for one in ("running_mean", "running_var", "weight", "bias")
    )
    return functional.batch_norm(x, mean, variance, weight, bias)
