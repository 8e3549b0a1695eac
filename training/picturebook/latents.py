"""The latents of the picture book: the mean colour of each 8x8 block, whitened, and a slope of its light.

They are constructed, not learned: the encoder computes exactly this, training needs no pass through it, and a
picture can be read off its latents.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 8
SCALING = 0.18215
"""Stable Diffusion's: a pipeline multiplies what the encoder says by it."""
LUMA = (0.299, 0.587, 0.114)
SOFTENING = 0.3
"""Share of the mean variance added to each colour axis before whitening, so that no axis is blown up."""


@dataclass(frozen=True, slots=True)
class Whitening:
    """`matrix` turns the mean colour of a block, less `mean`, into three latents, `ramp` makes the fourth."""

    mean: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]
    ramp: float

    def save(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, file: Path) -> Whitening:
        read = json.loads(file.read_text())
        return cls(tuple(read["mean"]), tuple(tuple(row) for row in read["matrix"]), read["ramp"])

    @classmethod
    def of(cls, pictures: torch.Tensor) -> Whitening:
        """The whitening that gives the blocks of these pictures unit variance."""
        means, ramps = _moments(pictures)
        colours = means.movedim(1, -1).flatten(0, -2).double()
        mean = colours.mean(0)
        values, axes = torch.linalg.eigh(torch.cov(colours.T))
        axes = axes * torch.sign(axes.sum(0))
        softened = axes / (values + SOFTENING * values.mean()).sqrt()
        matrix = softened.T / ((colours - mean) @ softened).std()
        return cls(
            tuple(mean.tolist()),
            tuple(tuple(row) for row in matrix.flip(0).tolist()),
            float(1 / ramps.double().std()),
        )


def to_latents(pictures: torch.Tensor, whitening: Whitening) -> torch.Tensor:
    """Latents N x 4 x H/8 x W/8, of unit variance, of pictures N x 3 x H x W from -1 to 1."""
    means, ramps = _moments(pictures)
    matrix = means.new_tensor(whitening.matrix)
    mean = means.new_tensor(whitening.mean)[:, None, None]
    colours = torch.einsum("lc,nchw->nlhw", matrix, means - mean)
    return torch.cat([colours, ramps * whitening.ramp], dim=1)


def to_colours(latents: torch.Tensor, whitening: Whitening) -> torch.Tensor:
    """The mean colours of the blocks, 0 to 1: a preview without a decoder."""
    inverse = torch.linalg.inv(latents.new_tensor(whitening.matrix))
    mean = latents.new_tensor(whitening.mean)[:, None, None]
    return ((torch.einsum("cl,nlhw->nchw", inverse, latents[:, :3]) + mean) / 2 + 0.5).clamp(0, 1)


def _moments(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean colour, and the moment of the brightness along x + y/2, of each block."""
    means = functional.avg_pool2d(pictures, BLOCK)
    slope = (torch.arange(BLOCK, device=pictures.device) - 3.5) / 3.5
    weights = (slope[None, :] + slope[:, None] / 2).to(pictures) / BLOCK**2
    kernel = pictures.new_tensor(LUMA)[:, None, None] * weights
    return means, functional.conv2d(pictures, kernel[None], stride=BLOCK)
