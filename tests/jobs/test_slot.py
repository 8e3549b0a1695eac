from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.jobs.slot import Slot

if TYPE_CHECKING:
    from pathlib import Path


def test_a_slot_has_one_holder_and_is_free_again_when_that_lets_go(tmp_path: Path) -> None:
    first, second = Slot(tmp_path / "w.lock"), Slot(tmp_path / "w.lock")
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()
