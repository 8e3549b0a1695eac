"""Teaches the text encoder to tell what a caption asks for, before any picture is seen: it makes the rest of
the training about three times shorter."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from training.picturebook.attributes import labels
from training.picturebook.data import tokens
from training.picturebook.world.captions import caption
from training.picturebook.world.plan import training_plan

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTokenizer

    from training.picturebook.attributes import Head

LENGTH = 40
"""Tokens that the longest caption needs; the rest of the 77 are padding, and cost time."""


def pretrain(
    encoder: CLIPTextModel, head: Head, tokenizer: CLIPTokenizer, *, steps: int, seed: int, count: int = 64
) -> torch.Tensor:
    """The shares of right answers in the last steps."""
    rng = Random(seed)
    weights = [*encoder.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.1)
    device = next(encoder.parameters()).device
    right = None
    bar = tqdm(range(steps), desc="text encoder", unit="step")
    for _ in bar:
        plans = [training_plan(rng) for _ in range(count)]
        ids = tokens(tokenizer, [caption(plan, rng) for plan in plans], LENGTH).to(device)
        wanted = torch.tensor([labels(plan) for plan in plans], device=device)
        pooled = encoder(ids).pooler_output
        loss = head.loss(pooled, wanted)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()
        now = head.right(pooled, wanted)
        right = now if right is None else right.lerp(now, 0.05)
        bar.set_postfix(loss=f"{loss.item():.3f}", right=f"{right.mean():.3f}")
    assert right is not None
    return right
