"""Trains the UNet together with the text encoder, from small pictures to large ones."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from diffusionapi.engine import devices
from training.picturebook import noise, together
from training.picturebook.attributes import Head
from training.picturebook.data import Pool, batch
from training.picturebook.inner import Inner
from training.picturebook.networks import text_encoder, unet
from training.picturebook.optimiser import Optimiser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from transformers import CLIPTokenizer

    from training.picturebook.data import Batch
    from training.picturebook.latents import Whitening

SAVE_EVERY = 300.0
HEAD_WEIGHT = 0.05
OTHER_SHAPES = 0.25
"""Share of the batches that are not of a stage's first shape."""
WORDS = 0.5
"""The text encoder's share of the learning rate: it knows most already."""


@dataclass(frozen=True, slots=True)
class Stage:
    """`shapes` are latent widths and heights; each batch has one of them, mostly the first."""

    shapes: tuple[tuple[int, int], ...]
    samples: int
    batch: int
    length: int
    """Tokens of a caption."""
    rate: float
    """The learning rate at its start; each stage begins where the one before ended."""
    rate_end: float
    average: float
    """Decay of the running average of the weights."""
    skipped: int = 0
    """Outermost levels of the UNet that are not there yet."""


class Denoiser:
    """The networks in training and everything needed to go on."""

    def __init__(self, tokenizer: CLIPTokenizer, seed: int, device: str) -> None:
        torch.manual_seed(seed)
        self.tokenizer = tokenizer
        self.device = torch.device(device)
        self.text = text_encoder(tokenizer).to(self.device)
        self.head = Head().to(self.device)
        dtype = devices.fastest(self.device)
        self._precision = torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)
        self.unet = unet().to(self.device, memory_format=torch.channels_last)
        self.samples = 0
        self.enter(0)
        self.average = {key: value.clone() for key, value in self._weights().items()}

    def enter(self, skipped: int) -> None:
        """Trains the UNet without its outermost levels from here on, with an optimiser that knows nothing."""
        self.skipped = skipped
        self._alphas = noise.alphas(skipped).to(self.device)
        self.inner = Inner(self.unet, skipped) if skipped else None
        drawing = list(self.unet.parameters())
        if self.inner:
            drawing += self.inner.to(self.device).parameters()
        self._groups = (drawing, [*self.text.parameters(), *self.head.parameters()])
        self.optimiser = Optimiser(zip(self._groups, (1.0, WORDS), strict=True))

    def _weights(self) -> dict[str, torch.Tensor]:
        named = {f"unet.{key}": value for key, value in self.unet.state_dict().items()}
        return named | {f"text.{key}": value for key, value in self.text.state_dict().items()}

    def state(self) -> dict[str, Any]:
        return {
            "weights": self._weights(),
            "average": self.average,
            "head": self.head.state_dict(),
            "skipped": self.skipped,
            "inner": self.inner.state_dict() if self.inner else {},
            "optimiser": self.optimiser.state_dict(),
            "samples": self.samples,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.enter(state["skipped"])
        if self.inner:
            self.inner.load_state_dict(state["inner"])
        for part, network in (("unet.", self.unet), ("text.", self.text)):
            network.load_state_dict(
                {key.removeprefix(part): w for key, w in state["weights"].items() if key.startswith(part)}
            )
        self.average = {key: value.to(self.device) for key, value in state["average"].items()}
        self.head.load_state_dict(state["head"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.samples = state["samples"]

    def _told(self, lesson: noise.Lesson, states: torch.Tensor) -> torch.Tensor:
        with self._precision:
            if self.inner:
                told = self.inner(lesson.noised, lesson.times, states)
            else:
                told = self.unet(lesson.noised, lesson.times, states).sample
        answer: torch.Tensor = told.float()
        return answer

    def step(self, batch: Batch, rate: float, keep: float) -> float:
        """One step on one batch; the loss."""
        latents, tokens = batch.latents.to(self.device), batch.tokens.to(self.device)
        latents = latents.contiguous(memory_format=torch.channels_last)
        lesson = noise.lesson(latents, self._alphas)
        said = self.text(tokens)
        loss = lesson.loss(self._told(lesson, said.last_hidden_state))
        words = batch.captioned.to(self.device)
        head = self.head.loss(said.pooler_output[words], batch.labels.to(self.device)[words])
        torch.autograd.backward(loss + HEAD_WEIGHT * head)
        for group in self._groups:
            together.average_gradients(group)
            torch.nn.utils.clip_grad_norm_(group, 1.0)
        self.optimiser.step(rate)
        self.samples += len(latents) * together.size()
        current = self._weights()
        torch._foreach_lerp_(list(self.average.values()), [current[key] for key in self.average], 1 - keep)
        return loss.item()


def train(run: Path, denoiser: Denoiser, white: Whitening, stages: tuple[Stage, ...], seed: int) -> None:
    """Runs the stages from where the state says, saving it every five minutes and at the end."""
    number = together.join()
    dice = f"{seed} {denoiser.samples} {number}"
    rng = Random(dice)
    torch.manual_seed(rng.randrange(2**62))
    done = 0
    for place, stage in enumerate(stages, 1):
        start, done = done, done + stage.samples
        if denoiser.samples >= done:
            continue
        if stage.skipped != denoiser.skipped:
            denoiser.enter(stage.skipped)
        bar = tqdm(
            total=stage.samples,
            initial=denoiser.samples - start,
            desc=f"stage {place}",
            unit="picture",
            disable=number > 0,
        )
        saved = time.monotonic()
        mean = None
        for shown in _batches(stage, denoiser, white, rng):
            passed = (denoiser.samples - start) / stage.samples
            if passed >= 1:
                break
            rate = stage.rate * (stage.rate_end / stage.rate) ** passed
            warm = min(1.0, (denoiser.samples + 1) / (100 * stage.batch))
            # At first a shorter memory: the average is to be of nothing older than the stage.
            steps = (denoiser.samples - start) / (stage.batch * together.size())
            loss = denoiser.step(shown, rate * warm, min(stage.average, steps / (steps + 10)))
            mean = loss if mean is None else 0.98 * mean + 0.02 * loss
            bar.update(denoiser.samples - start - bar.n)
            bar.set_postfix(loss=f"{mean:.4f}", rate=f"{rate:.1e}", refresh=False)
            if time.monotonic() - saved > SAVE_EVERY:
                save(run, denoiser)
                saved = time.monotonic()
        bar.close()
        save(run, denoiser)


def _batches(stage: Stage, denoiser: Denoiser, white: Whitening, rng: Random) -> Iterator[Batch]:
    first, *others = [Pool(*shape, white, rng, capacity=stage.batch * 60) for shape in stage.shapes]
    while True:
        dice = Random(denoiser.samples)  # the same in all processes: none waits for a larger picture
        pool = dice.choice(others) if others and dice.random() < OTHER_SHAPES else first
        yield batch(pool, denoiser.tokenizer, stage.batch, stage.length, rng)


def save(run: Path, denoiser: Denoiser) -> None:
    if together.join() > 0:
        return  # all have the same
    part = run / "denoiser.part"
    torch.save(denoiser.state(), part)
    part.replace(run / "denoiser.pt")
