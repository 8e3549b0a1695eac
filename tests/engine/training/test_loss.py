"""The loss against diffusers' schedulers, which training scripts use for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from diffusers import DDPMScheduler

from diffusionapi.engine.training.loss import Example, Row, loss, rolled

if TYPE_CHECKING:
    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.engine.workshop import Workshop


def rows(count: int = 3) -> list[Row]:
    random = torch.Generator().manual_seed(4)
    sizes = (64.0, 48.0, 0.0, 8.0, 64.0, 64.0)
    clean = [torch.randn(4, 8, 8, generator=random) for _ in range(count)]
    return [
        rolled(Example(one, "a dog", sizes), number + 0.5, 1000, random) for number, one in enumerate(clean)
    ]


def theirs(model: LoadedModel, scheduler: Any, rows: list[Row], words: Any) -> float:
    """As the scripts of diffusers calculate it, picture by picture."""
    total = 0.0
    for row in rows:
        clean, noise, timestep = row.example.latents[None], row.noise[None], torch.tensor([row.timestep])
        sizes = {}
        if model.family == "sdxl":
            told = {"text_embeds": words.pooled[None], "time_ids": torch.tensor([row.example.sizes])}
            sizes = {"added_cond_kwargs": told}
        noisy = scheduler.add_noise(clean, noise, timestep)
        answer = model.unet(noisy, timestep, words.context[None], **sizes).sample
        velocity = scheduler.config.prediction_type == "v_prediction"
        target = scheduler.get_velocity(clean, noise, timestep) if velocity else noise
        total += row.weight * float(torch.nn.functional.mse_loss(answer, target))
    return total


@pytest.mark.parametrize("name", ["sd1", "sd2-base", "sd2-v", "sdxl"])
@torch.no_grad()
def test_it_is_that_of_diffusers_training_scripts(name: str, workshop: Workshop) -> None:
    with workshop.taught(name) as weights:
        scheduler = DDPMScheduler.from_pretrained(weights.model.path / "scheduler")
        assert (scheduler.config.prediction_type == "v_prediction") == (name == "sd2-v")
        words = workshop.prompt_encoder(weights.model).encode("a dog")
        looked_at = rows()
        expected = theirs(weights.model, scheduler, looked_at, words)
        assert float(loss(weights.model, looked_at, [words] * 3)) == pytest.approx(expected, rel=1e-4)


def test_noise_is_normal_and_every_timestep_comes() -> None:
    random = torch.Generator().manual_seed(1)
    many = [rolled(Example(torch.zeros(4, 8, 8), ""), 1.0, 20, random) for _ in range(400)]
    assert {one.timestep for one in many} == set(range(20))
    noise = torch.stack([one.noise for one in many])
    assert abs(float(noise.mean())) < 0.01
    assert abs(float(noise.std()) - 1) < 0.01
