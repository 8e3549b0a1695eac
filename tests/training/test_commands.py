"""The command line of the training: a trial stays away from what is being trained and from the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from training.picturebook import __main__ as commands

if TYPE_CHECKING:
    import argparse

pytestmark = pytest.mark.slow


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[argparse.Namespace]:
    """What the last part of `make` was given; no part does anything."""
    found: list[argparse.Namespace] = []
    for part in ("train_decoder", "denoise", "write"):
        monkeypatch.setattr(commands, part, lambda _: None)
    monkeypatch.setattr(commands, "score", found.append)
    monkeypatch.setattr("torch.set_num_threads", lambda _: None)
    return found


def test_everything_ends_in_the_model(made: list[argparse.Namespace]) -> None:
    commands.main(["make"])
    assert (made[0].run, made[0].model) == (commands.RUN, commands.MODEL)


def test_a_trial_has_folders_of_its_own(made: list[argparse.Namespace]) -> None:
    commands.main(["make", "--short"])
    assert made[0].run != commands.RUN
    assert made[0].run in made[0].model.parents
