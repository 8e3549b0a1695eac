"""Trains the decoder of the picture book: latents of drawings back into drawings."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from training.picturebook.autoencoder import build
from training.picturebook.crops import batch
from training.picturebook.latents import SCALING, Whitening, to_latents

SEED = 1
RATE = 1e-3
LAST_RATE = 1e-4
WARM_UP = 100
NOISE = 0.25
"""The most noise the latents get: a picture's latents are never quite right, and are to come out crisp."""
MINUTES_BETWEEN_SAVES = 3


def train(run: Path, whitening: Whitening, steps: int, device: str = "cpu") -> Path:
    """Trains up to `steps`, going on where `run` was left, and returns the folder of the finished model."""
    vae = build(whitening).to(device, memory_format=torch.channels_last)
    learner = Learner(vae, whitening, steps)
    state = run / "decoder.pt"
    if state.exists():
        learner.load(state)
    saved = time.monotonic()
    smooth = math.nan
    with tqdm(total=steps, initial=learner.step, desc="decoder", unit="step") as bar:
        while learner.step < steps:
            loss = learner.learn()
            smooth = loss if math.isnan(smooth) else 0.98 * smooth + 0.02 * loss
            bar.update()
            bar.set_postfix(loss=f"{smooth:.4f}", refresh=False)
            if time.monotonic() - saved > 60 * MINUTES_BETWEEN_SAVES:
                learner.save(state)
                saved = time.monotonic()
    learner.save(state)
    return export(vae, run / "vae")


def export(vae: Any, folder: Path) -> Path:
    """Saves it as Stable Diffusion's autoencoders are, in half precision."""
    half = type(vae).from_config(vae.config).half()
    half.load_state_dict(vae.state_dict())
    half.save_pretrained(folder)
    return folder


class Learner:
    """A decoder with its optimiser. A batch and its noise follow from the step, which is thus all there is to
    keep of chance."""

    def __init__(self, vae: Any, whitening: Whitening, steps: int) -> None:
        self.vae, self.whitening, self.steps, self.step = vae, whitening, steps, 0
        vae.requires_grad_(False)
        vae.decoder.requires_grad_(True)
        # It gives nothing as built, and stays so: what it would learn of few latents need not hold for many.
        vae.decoder.mid_block.attentions.requires_grad_(False)
        self.parameters = [one for one in vae.decoder.parameters() if one.requires_grad]
        self.optimiser = torch.optim.AdamW(self.parameters, lr=RATE, betas=(0.9, 0.98), weight_decay=0)

    def learn(self) -> float:
        device = self.vae.device
        pictures = batch(self.step, SEED).to(device)
        latents = _disturbed(to_latents(pictures, self.whitening), self.step) / SCALING
        for group in self.optimiser.param_groups:
            group["lr"] = _rate(self.step, self.steps)
        with torch.autocast(device.type, torch.bfloat16):
            decoded = self.vae.decoder(latents.contiguous(memory_format=torch.channels_last))
        loss = _loss(decoded.float(), pictures)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, error_if_nonfinite=True)
        self.optimiser.step()
        self.step += 1
        return loss.item()

    def save(self, file: Path) -> None:
        state = {
            "weights": self.vae.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "whitening": asdict(self.whitening),
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished")
        torch.save(state, unfinished)
        unfinished.replace(file)

    def load(self, file: Path) -> None:
        state = torch.load(file, map_location=self.vae.device, weights_only=True)
        if state["whitening"] != asdict(self.whitening):
            raise ValueError(f"{file} was trained on other latents")
        self.vae.load_state_dict(state["weights"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]


def _rate(step: int, steps: int) -> float:
    """A short warm-up, then half a cosine down to the last rate."""
    cosine = (1 + math.cos(math.pi * step / steps)) / 2
    return min(1.0, (step + 1) / WARM_UP) * (LAST_RATE + (RATE - LAST_RATE) * cosine)


def _disturbed(latents: Tensor, step: int) -> Tensor:
    generator = torch.Generator().manual_seed(SEED * 10**9 + step)
    level = NOISE * torch.rand(len(latents), 1, 1, 1, generator=generator).square()
    noise = level * torch.randn(latents.shape, generator=generator)
    return latents + noise.to(latents)


def _loss(decoded: Tensor, pictures: Tensor) -> Tensor:
    error = decoded - pictures
    return (
        error.abs().mean()
        + 0.5 * error.square().mean()
        + 0.5 * (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean())
    )


def psnr(decoded: Tensor, pictures: Tensor) -> Tensor:
    """Decibels of each picture."""
    error = (decoded.float().clamp(-1, 1) - pictures).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(4 / error.clamp_min(1e-10))
