"""What the decoder learns from: pieces of drawings, some of them in other colours than the world's."""

from __future__ import annotations

from random import Random

import numpy as np
import torch
from torch import Tensor

from training.picturebook.world.paint import paint
from training.picturebook.world.plan import training_plan

CROP = 128
CROPS = 12
CROPS_OF_ONE = 4
SIZES = (256, 256, 320, 384, 512, 512)
WHOLE = 256
WHOLES = 3
EVERY = 4
"""Every fourth batch is of whole pictures."""
RECOLOURED = 0.25


def batch(step: int, seed: int) -> Tensor:
    """Pictures N x 3 x H x W from -1 to 1; the same for the same step and seed."""
    rng = Random(f"{seed} {step}")
    if step % EVERY == EVERY - 1:
        pieces = [_drawing(rng, WHOLE) for _ in range(WHOLES)]
    else:
        pieces = []
        while len(pieces) < CROPS:
            drawing = _drawing(rng, rng.choice(SIZES))
            pieces += [_crop(rng, drawing) for _ in range(CROPS_OF_ONE)]
    return to_tensor(np.stack([_recolour(rng, piece) for piece in pieces]))


def to_tensor(drawings: np.ndarray) -> Tensor:
    """From N x H x W x 3 of 0 to 255."""
    return torch.from_numpy(drawings).movedim(-1, 1).float() / 127.5 - 1


def _drawing(rng: Random, size: int) -> np.ndarray:
    return paint(training_plan(rng), size, size)


def _crop(rng: Random, drawing: np.ndarray) -> np.ndarray:
    """The one with more to see of two: much of a picture is flat."""
    height, width, _ = drawing.shape
    places = [(rng.randrange(height - CROP + 1), rng.randrange(width - CROP + 1)) for _ in range(2)]
    return max((drawing[y : y + CROP, x : x + CROP] for y, x in places), key=_detail)


def _detail(piece: np.ndarray) -> float:
    return float(np.abs(np.diff(piece[::2, ::2].astype(np.int16), axis=0)).mean())


def _recolour(rng: Random, piece: np.ndarray) -> np.ndarray:
    """Now and then other channels and negatives, so that edges are learnt in every colour."""
    if rng.random() >= RECOLOURED:
        return piece
    channels = rng.sample(range(3), 3)
    negative = np.array([rng.choice((0, 255)) for _ in channels], dtype=np.uint8)
    return piece[..., channels] ^ negative
