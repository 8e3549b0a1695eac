"""Requests, tickets and settings for tests: complete, with the one field that matters said by the test."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from diffusionapi.core.job import Ticket
from diffusionapi.core.request import GenerationRequest
from diffusionapi.core.work import TrainingRequest, UpscaleRequest
from diffusionapi.settings import PROJECT, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.core.work import Work

NOBODYS = "8c0de0a6-5b56-4d0c-9a3c-1f7f4be0d5c1"
"""A well-formed id that nothing has. Fixed, since a test has to have the same name in every process."""

REQUEST = GenerationRequest(
    prompt="a lighthouse",
    negative_prompt="",
    model="fake",
    width=64,
    height=64,
    steps=4,
    guidance=7.0,
    sampler="Euler",
    schedule="karras",
    seed=7,
    file_type="png",
    quality=85,
    clip_skip=None,
    loras=(),
    hires=None,
    refiner=None,
)


UPSCALING = UpscaleRequest(
    upload=f"{NOBODYS}.png", upscaler="Lanczos", scale=2.0, faces=False, file_type="png", quality=85
)

TRAINING = TrainingRequest(
    name="a-dog",
    model="fake",
    pictures=(f"{NOBODYS}.png",),
    instance_prompt="a photo of sks dog",
    class_prompt=None,
    class_negative_prompt="",
    class_pictures=0,
    prior_weight=1.0,
    steps=10,
    rate=1e-4,
    text_encoder_rate=0.0,
    text_encoder_steps=0,
    rank=4,
    alpha=4.0,
    size=64,
    batch=1,
    seed=7,
)


def a_request(**fields: Any) -> GenerationRequest:
    return replace(REQUEST, **fields)


def an_upscaling(**fields: Any) -> UpscaleRequest:
    return replace(UPSCALING, **fields)


def a_training(**fields: Any) -> TrainingRequest:
    return replace(TRAINING, **fields)


def a_ticket(job_id: str | None = None, **fields: Any) -> Ticket:
    request = a_request(**fields)
    return Ticket(job_id or str(uuid.uuid4()), "primary", time.time(), request, {"prompt": request.prompt})


def a_ticket_of(work: Work) -> Ticket:
    return Ticket(str(uuid.uuid4()), "primary", time.time(), work, {})


def settings_in(folder: Path) -> Settings:
    """A server in this folder with quick steps, and jobs in memory."""
    return Settings(
        data_dir=folder,
        model_labels=PROJECT / "model_labels.json",
        job_store="memory:",
        engine="fake",
        fake_step_seconds=0.001,
    )
