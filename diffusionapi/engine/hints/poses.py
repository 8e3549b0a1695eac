"""Poses of bodies as coloured skeletons, by OpenPose's network (Cao et al. 2017, arXiv:1611.08050).

The network tells, for each of 18 joints, where there is one, and for each pair that belongs together which
way leads from one to the other. Joints are linked where the ways agree best, and links with a joint in common
are one person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.nn import functional

from diffusionapi.engine.hints.edges import shown
from diffusionapi.engine.hints.network import looked_at
from diffusionapi.engine.hints.people import drawn_people, joints_of, people_of
from diffusionapi.engine.hints.plain import resized

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from diffusionapi.engine.hints.network import Network
    from diffusionapi.engine.hints.plain import Pixels

_HEIGHT = 184
"""Pixels at which people are looked for."""
_STRIDE = 8
_GREY = 128
_FIRST: tuple[tuple[str, ...], ...] = (
    ("conv1_1", "conv1_2"),
    ("conv2_1", "conv2_2"),
    ("conv3_1", "conv3_2", "conv3_3", "conv3_4"),
    ("conv4_1", "conv4_2", "conv4_3_CPM", "conv4_4_CPM"),
)
"""VGG's layers; the picture is halved between the groups."""
_WAYS, _JOINTS = "L1", "L2"


@torch.inference_mode()
def poses(network: Network, picture: Image.Image) -> Image.Image:
    levels = looked_at(picture)
    joints, ways = _seen(network, levels[:, :, ::-1])  # it was trained on blue, green, red
    height, width = levels.shape[:2]
    people = people_of(joints_of(joints), ways, height)
    return shown(drawn_people(people, height, width).astype(np.float64), picture)


def _seen(network: Network, levels: Pixels) -> tuple[Pixels, Pixels]:
    """How surely a pixel is a joint, (height, width, 19), and the ways, (height, width, 38)."""
    height, width = levels.shape[:2]
    scale = _HEIGHT / height
    small = resized(levels, (int(width * scale), int(height * scale)))
    below, right = (-side % _STRIDE for side in small.shape[:2])
    padded = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(_GREY,) * 3)
    ways, joints = maps(network, network.sent(np.asarray(padded)) / 256 - 0.5)
    return _at_size(joints, small, levels), _at_size(ways, small, levels)


def _at_size(said: Tensor, small: Pixels, levels: Pixels) -> Pixels:
    """Eight times as large, without what was padded, and then as large as the picture."""
    size, (height, width) = (levels.shape[1], levels.shape[0]), small.shape[:2]
    enlarged = []
    for one in said[0].cpu().numpy():
        whole = resized(one, (one.shape[1] * _STRIDE, one.shape[0] * _STRIDE))
        enlarged.append(resized(whole[:height, :width], size))
    return np.stack(enlarged, axis=2)


def maps(network: Network, x: Tensor) -> tuple[Tensor, Tensor]:
    """Ways and joints, which six stages refine, each looking at what the one before said."""
    for number, group in enumerate(_FIRST):
        x = functional.max_pool2d(x, 2) if number else x
        for name in group:
            x = functional.relu(network.convolved(name, x))
    seen = x
    names = [f"conv5_{layer}_CPM_{{}}" for layer in range(1, 6)]
    ways, joints = (_branch(network, names, branch, seen) for branch in (_WAYS, _JOINTS))
    for stage in range(2, 7):
        together = torch.cat([ways, joints, seen], dim=1)
        names = [f"Mconv{layer}_stage{stage}_{{}}" for layer in range(1, 8)]
        ways, joints = (_branch(network, names, branch, together) for branch in (_WAYS, _JOINTS))
    return ways, functional.relu(joints)


def _branch(network: Network, names: list[str], branch: str, x: Tensor) -> Tensor:
    for name in names[:-1]:
        x = functional.relu(network.convolved(name.format(branch), x))
    return network.convolved(names[-1].format(branch), x)
