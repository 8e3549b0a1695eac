"""Makes the whole picture book from nothing, in a folder that can be left and taken up again at any point."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import torch

from training.picturebook import data, text, tokenizer
from training.picturebook.denoiser import Denoiser, Stage, save, train
from training.picturebook.latents import Whitening

if TYPE_CHECKING:
    from pathlib import Path

WHITENING = "whitening.json"
TOKENIZER = "tokenizer"
DENOISER = "denoiser.pt"

STAGES = (
    Stage(((16, 16), (16, 24), (24, 16)), 72_000, 48, 40, 2e-3, 1.7e-3, 0.998),
    Stage(((32, 32), (24, 40), (40, 24), (32, 48), (48, 32)), 120_000, 16, 77, 1.5e-3, 8e-4, 0.999),
    Stage(((64, 64), (64, 40), (40, 64), (48, 48), (80, 80)), 40_000, 8, 77, 8e-4, 5e-5, 0.9993),
)
"""Small pictures teach what the words mean, large ones how it looks."""
TEXT_STEPS = 700


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is trained, and how many pictures the score is of."""

    text_steps: int
    decoder_steps: int
    stages: tuple[Stage, ...]
    scored: int


WHOLE = Amount(TEXT_STEPS, 6000, STAGES, 200)
SHORT = Amount(200, 30, (Stage(((16, 16),), 4_800, 16, 40, 2e-3, 6e-4, 0.99),), 12)
"""Minutes: no more than a proof that everything works. Backgrounds follow the prompt then, things do not."""


def whitening(run: Path, seed: int) -> Whitening:
    """The run's own, made at the first call."""
    file = run / WHITENING
    if not file.exists():
        run.mkdir(parents=True, exist_ok=True)
        data.whitening(Random(seed)).save(file)
    return Whitening.load(file)


def denoise(run: Path, stages: tuple[Stage, ...], *, seed: int, device: str, text_steps: int) -> Denoiser:
    """The trained denoiser; begun, gone on with or only read, as the run's folder says."""
    white = whitening(run, seed)
    tokenizer.make(run / TOKENIZER)
    denoiser = Denoiser(tokenizer.load(run / TOKENIZER), seed, device)
    if (run / DENOISER).exists():
        denoiser.restore(torch.load(run / DENOISER, map_location=device, weights_only=True))
    else:
        text.pretrain(denoiser.text, denoiser.head, denoiser.tokenizer, steps=text_steps, seed=seed)
        save(run, denoiser)
    train(run, denoiser, white, stages, seed)
    return denoiser
