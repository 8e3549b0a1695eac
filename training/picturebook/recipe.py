"""Makes the whole picture book from nothing, in a folder that can be left and taken up again at any point."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import torch

from training.picturebook import data, text, together, tokenizer
from training.picturebook.denoiser import Denoiser, Stage, save, train
from training.picturebook.latents import Whitening

if TYPE_CHECKING:
    from pathlib import Path

WHITENING = "whitening.json"
TOKENIZER = "tokenizer"
DENOISER = "denoiser.pt"

STAGES = (
    Stage(((16, 16), (16, 24), (24, 16), (20, 20), (8, 8)), 110_000, 16, 40, 2e-3, 1.2e-3, 0.998, skipped=2),
    Stage(((32, 32), (32, 48), (48, 32), (40, 40), (16, 16)), 25_000, 16, 40, 1.2e-3, 8e-4, 0.998, skipped=1),
    Stage(((64, 64), (64, 40), (40, 64), (48, 48), (80, 80), (32, 32)), 80_000, 8, 77, 8e-4, 3e-5, 0.9993),
)
"""The inner levels learn on small pictures what the words mean, the whole on large ones how it looks."""
TEXT_STEPS = 700


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is trained, and how many pictures the score is of."""

    text_steps: int
    decoder_steps: int
    stages: tuple[Stage, ...]
    scored: int


WHOLE = Amount(TEXT_STEPS, 6000, STAGES, 200)
SHORT = Amount(200, 10, (Stage(((16, 16),), 4_800, 16, 40, 2e-3, 6e-4, 0.99),), 12)
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
    if together.join() == 0:
        _prepare(run, seed, device, text_steps)
    together.wait()
    denoiser = Denoiser(tokenizer.load(run / TOKENIZER), seed, device)
    denoiser.restore(torch.load(run / DENOISER, map_location=device, weights_only=True))
    train(run, denoiser, whitening(run, seed), stages, seed)
    return denoiser


def _prepare(run: Path, seed: int, device: str, text_steps: int) -> None:
    """Everything that comes before the first picture."""
    if (run / DENOISER).exists():
        return
    whitening(run, seed)
    tokenizer.make(run / TOKENIZER)
    denoiser = Denoiser(tokenizer.load(run / TOKENIZER), seed, device)
    text.pretrain(denoiser.text, denoiser.head, denoiser.tokenizer, steps=text_steps, seed=seed)
    save(run, denoiser)
