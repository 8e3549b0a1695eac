from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import torch

from diffusionapi.engine.training.notebook import Damaged, Notebook
from diffusionapi.errors import BadRequest
from tests.engine.training.lessons import a_training

if TYPE_CHECKING:
    from pathlib import Path


def test_it_knows_again_what_was_kept_last(tmp_path: Path) -> None:
    first = Notebook(tmp_path / "a", a_training())
    assert first.state() is None
    assert first.class_picture(0) is None
    first.keep(3, {"losses": [1.0]})
    first.keep(5, {"losses": [1.0, 0.5], "lora": {"x": torch.ones(2)}})
    first.keep_class_picture(7, torch.zeros(4, 2, 2))
    again = Notebook(tmp_path / "a", a_training())
    state = again.state()
    assert state is not None
    assert state["steps"] == 5
    assert state["losses"] == [1.0, 0.5]
    assert torch.equal(state["lora"]["x"], torch.ones(2))
    assert again.begun_at == first.begun_at
    assert again.class_picture(7) is not None
    assert again.class_picture(8) is None


def test_it_is_due_after_a_hundred_steps_or_half_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    one = Notebook(tmp_path / "a", a_training())
    assert [one.due(steps) for steps in (1, 99, 100)] == [False, False, True]
    one.keep(100, {})
    assert [one.due(steps) for steps in (101, 199, 200)] == [False, False, True]
    now += 29
    assert not one.due(101)
    now += 1
    assert one.due(101)


def test_that_of_another_training_is_refused(tmp_path: Path) -> None:
    Notebook(tmp_path / "a", a_training())
    Notebook(tmp_path / "b", a_training(rank=2))
    with pytest.raises(BadRequest, match="name: there is another unfinished training 'learnt'"):
        Notebook(tmp_path / "a", a_training(rank=2))


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 half a file"])
def test_what_is_damaged_is_said_to_be(content: bytes, tmp_path: Path) -> None:
    one = Notebook(tmp_path / "a", a_training())
    one.keep(1, {})
    (tmp_path / "a" / "state.pt").write_bytes(content)
    with pytest.raises(Damaged, match=r"a/state\.pt is damaged"):
        one.state()


def test_nothing_that_could_run_is_loaded(tmp_path: Path) -> None:
    one = Notebook(tmp_path / "a", a_training())
    torch.save({"steps": 1, "evil": print}, tmp_path / "a" / "state.pt")
    with pytest.raises(Damaged):
        one.state()
