"""The documented command in short: it learns, can be interrupted, and makes a model that loads everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from diffusionapi.engine.models.load import load
from training.picturebook import card, denoiser, recipe
from training.picturebook.__main__ import main
from training.picturebook.denoiser import Denoiser, Stage
from training.picturebook.sheet import pictures
from training.picturebook.world.plan import COLOURS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers"),
]

BACKGROUNDS = ("white", "yellow", "green", "purple", "pink", "black", "blue", "red")
INTERRUPTED_AT = 2400


@dataclass(frozen=True)
class Trained:
    model: Path
    losses: list[float]
    gone_on_from: int


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, _one_thread: None) -> Trained:
    """Interrupted in the middle, and gone on with."""
    run = tmp_path_factory.mktemp("run")
    losses: list[float] = []
    seen: list[int] = []
    learn = Denoiser.step

    def step(learner: Denoiser, *given: Any) -> float:
        if learner.samples >= INTERRUPTED_AT and not seen:
            seen.append(learner.samples)
            raise KeyboardInterrupt
        if len(seen) == 1:
            seen.append(learner.samples)
        losses.append(learn(learner, *given))
        return losses[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Denoiser, "step", step)
        patch.setattr(denoiser, "SAVE_EVERY", 3.0)
        command = ["make", "--short", "--run", str(run), "--out", str(run / "model")]
        with pytest.raises(KeyboardInterrupt):
            main(command)
        main(command)
    return Trained(run / "model", losses, seen[1])


@pytest.fixture(scope="module")
def pipeline(trained: Trained) -> Any:
    """As anybody would load it."""
    found = StableDiffusionPipeline.from_pretrained(trained.model)
    found.set_progress_bar_config(disable=True)
    return found


def test_the_loss_falls(trained: Trained) -> None:
    first, last = np.mean(trained.losses[:30]), np.mean(trained.losses[-30:])
    assert last < 0.7 * first


def test_an_interrupted_training_goes_on(trained: Trained) -> None:
    assert 0 < trained.gone_on_from <= INTERRUPTED_AT


def test_backgrounds_follow_the_prompt(pipeline: Any) -> None:
    prompts = [
        f"a {'red' if one == 'white' else 'white'} circle on a {one} background" for one in BACKGROUNDS
    ]
    shown = pictures(pipeline, prompts, size=128, steps=12, guidance=5, seed=0)
    found = tuple(background(np.asarray(one, dtype=float)) for one in shown)
    assert sum(a == b for a, b in zip(found, BACKGROUNDS, strict=True)) >= len(BACKGROUNDS) - 1, found


def background(picture: np.ndarray) -> str:
    """The world's colour nearest to the upper and lower margins."""
    margins = np.concatenate([picture[:10], picture[-10:]]).mean((0, 1))
    return min(COLOURS, key=lambda colour: float(np.square(margins - COLOURS[colour]).sum()))


def test_the_engine_loads_what_diffusers_loads(trained: Trained, pipeline: Any) -> None:
    ours = load(trained.model, torch.device("cpu"), torch.float32)
    assert (ours.family, ours.prediction) == ("sd1", "v_prediction")
    for mine, theirs in ((ours.unet, pipeline.unet), (ours.text_encoders[0], pipeline.text_encoder)):
        state = theirs.state_dict()
        assert all(torch.equal(weight, state[key]) for key, weight in mine.state_dict().items())
    torch.testing.assert_close(
        ours.alphas_cumprod.float(), pipeline.scheduler.alphas_cumprod, rtol=1e-4, atol=1e-6
    )


def test_the_model_is_small_and_has_a_card(trained: Trained) -> None:
    assert sum(file.stat().st_size for file in trained.model.rglob("*") if file.is_file()) < 15e6
    assert "11 prompts kept from the training" in (trained.model / card.NAME).read_text()
    card.fill_in(trained.model, "| a | b |")
    card.fill_in(trained.model, "| c | d |")
    text = (trained.model / card.NAME).read_text()
    assert "| c | d |" in text
    assert "| a | b |" not in text
    assert "11 prompts" not in text


def test_the_same_seed_trains_the_same_weights(tmp_path: Path) -> None:
    def trained_by(seed: int, folder: str) -> dict[str, torch.Tensor]:
        stages = (Stage(((8, 8),), 24, 8, 40, 1e-3, 1e-3, 0.9, skipped=2),)
        found = recipe.denoise(tmp_path / folder, stages, seed=seed, device="cpu", text_steps=3)
        return found.average

    one, same, other = trained_by(1, "one"), trained_by(1, "same"), trained_by(2, "other")
    assert all(torch.equal(weight, same[key]) for key, weight in one.items())
    assert not all(torch.equal(weight, other[key]) for key, weight in one.items())
