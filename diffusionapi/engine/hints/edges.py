"""Soft edges and line drawings, by two small networks that are given as their files.

HED as ControlNet's authors trained it anew (after Xie and Tu 2015, arXiv:1504.06375), and the generator of
"Informative Drawings" (Chan et al. 2022, arXiv:2203.12691).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.nn import functional

from diffusionapi.engine.hints.network import looked_at
from diffusionapi.engine.hints.plain import drawn

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from diffusionapi.engine.hints.network import Network
    from diffusionapi.engine.hints.plain import Pixels

_HED_LAYERS = (2, 2, 3, 3, 3)
"""Convolutions in each of its blocks; the picture is halved between them."""
_RESIDUAL_BLOCKS = 3


@torch.inference_mode()
def hed(network: Network, picture: Image.Image) -> Image.Image:
    """Soft white edges on black: the mean of what five scales say."""
    levels = looked_at(picture)
    height, width = levels.shape[:2]
    x, said = network.sent(levels) - network["norm"], []
    for number, layers in enumerate(_HED_LAYERS, 1):
        x = functional.max_pool2d(x, 2) if number > 1 else x
        for layer in range(layers):
            x = functional.relu(network.convolved(f"block{number}.convs.{layer}", x))
        edge = network.convolved(f"block{number}.projection", x)[0, 0].cpu().numpy()
        said.append(cv2.resize(edge, (width, height), interpolation=cv2.INTER_LINEAR))
    mean = np.mean(np.stack(said, axis=2), axis=2).astype(np.float64)
    return shown(255 / (1 + np.exp(-mean)), picture)


@torch.inference_mode()
def lineart(network: Network, picture: Image.Image) -> Image.Image:
    """White lines on black."""
    x = network.sent(looked_at(picture)) / 255
    x = _normed(network.convolved("model0.1", _mirrored(x, 3), padding=0))
    for place in (0, 3):
        x = _normed(network.convolved(f"model1.{place}", x, stride=2))
    for block in range(_RESIDUAL_BLOCKS):
        inner = _normed(network.convolved(f"model2.{block}.conv_block.1", _mirrored(x, 1), padding=0))
        inner = network.convolved(f"model2.{block}.conv_block.5", _mirrored(inner, 1), padding=0)
        x = x + functional.instance_norm(inner)
    for place in (0, 3):
        weight, bias = (network[f"model3.{place}.{kind}"] for kind in ("weight", "bias"))
        x = _normed(functional.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1))
    paper = torch.sigmoid(network.convolved("model4.1", _mirrored(x, 3), padding=0))[0, 0]
    return shown(255 - (paper * 255).clamp(0, 255).byte().cpu().numpy().astype(np.float64), picture)


def _mirrored(x: Tensor, edge: int) -> Tensor:
    return functional.pad(x, (edge,) * 4, mode="reflect")


def _normed(x: Tensor) -> Tensor:
    return functional.relu(functional.instance_norm(x))


def shown(levels: Pixels, like: Image.Image) -> Image.Image:
    """Levels of 0..255 as a picture of that one's size."""
    whole = levels.clip(0, 255).astype(np.uint8)
    return drawn(cv2.resize(whole, like.size, interpolation=cv2.INTER_LINEAR))
