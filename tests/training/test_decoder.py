"""The decoder's training goes on where it was left, and ends in a folder that loads."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import torch
from diffusers import AutoencoderKL

from training.picturebook import crops, decoder
from training.picturebook.data import whitening
from training.picturebook.latents import SCALING, Whitening, to_latents

pytestmark = pytest.mark.slow


@pytest.fixture
def white(monkeypatch: pytest.MonkeyPatch) -> Whitening:
    monkeypatch.setattr(crops, "CROP", 32)
    monkeypatch.setattr(crops, "WHOLE", 64)
    return whitening(Random(2), 20)  # noqa: S311


def weights(file: Path) -> dict[str, torch.Tensor]:
    kept: dict[str, torch.Tensor] = torch.load(file, weights_only=True)["weights"]
    return kept


def test_a_batch_follows_from_its_step() -> None:
    assert torch.equal(crops.batch(5, seed=0), crops.batch(5, seed=0))
    assert not torch.equal(crops.batch(5, seed=0), crops.batch(6, seed=0))
    assert crops.batch(3, seed=0).shape == (3, 3, 256, 256)
    assert crops.batch(4, seed=0).shape == (12, 3, 128, 128)


def test_training_goes_on_where_it_was_left(
    tmp_path: Path, white: Whitening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "MINUTES_BETWEEN_SAVES", 0)
    decoder.train(tmp_path / "whole", white, 4)
    learn = decoder.Learner.learn

    def learn_two(learner: decoder.Learner) -> float:
        if learner.step == 2:
            raise KeyboardInterrupt
        return learn(learner)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(decoder.Learner, "learn", learn_two)
        decoder.train(tmp_path / "parts", white, 4)
    decoder.train(tmp_path / "parts", white, 4)
    whole, parts = weights(tmp_path / "whole/decoder.pt"), weights(tmp_path / "parts/decoder.pt")
    assert all(torch.equal(weight, parts[name]) for name, weight in whole.items())


def test_other_latents_need_another_decoder(tmp_path: Path, white: Whitening) -> None:
    decoder.train(tmp_path, white, 1)
    with pytest.raises(ValueError, match="other latents"):
        decoder.train(tmp_path, whitening(Random(3), 20), 1)  # noqa: S311


def test_the_finished_model_loads_and_is_half_precision(tmp_path: Path, white: Whitening) -> None:
    folder = decoder.train(tmp_path, white, 3)
    file = folder / "diffusion_pytorch_model.safetensors"
    assert file.stat().st_size < 2.1e6
    pictures = crops.batch(0, seed=5)[:2]
    for precision in (torch.float32, torch.float16, torch.bfloat16):
        vae = AutoencoderKL.from_pretrained(folder, torch_dtype=precision).requires_grad_(False)
        decoded = vae.decode((to_latents(pictures, white) / SCALING).to(precision)).sample
        assert decoded.isfinite().all()
        assert decoder.psnr(decoded, pictures).mean() > 15
