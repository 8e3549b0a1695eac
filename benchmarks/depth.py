"""What a claim, a submit, a look at the line and a start cost when few jobs wait and when very many do."""

from __future__ import annotations

import os
import time
import uuid
from contextlib import AbstractContextManager, closing, contextmanager
from typing import TYPE_CHECKING

from benchmarks.report import Figure, durations, ratio, single
from diffusionapi.jobs import codec
from diffusionapi.jobs.file import FileJobStore
from tests.factories import a_ticket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from diffusionapi.jobs.store import Claim, JobStore

_FEW = 10
_ROUNDS = 200
_HELD = 8
"""Jobs that are held, as by an engine that renders so many side by side, while the next ones are claimed."""
_WHOLE = 2 * _HELD
"""Jobs at the head of the line that can be claimed."""
_LINKS = 10_000
"""Links to one file; ext4 allows 65,000."""
_NO_LIMIT = 10_000_000


def figures(folder: Path, *, deep: int) -> list[Figure]:
    few, many = folder / "few", folder / "many"
    _fill(few, _FEW)
    _fill(many, deep)
    found = starts(few, many, deep)
    with closing(FileJobStore(few)) as short, closing(FileJobStore(many)) as long:
        for name, act in ACTS.items():
            with act(short) as at_few, act(long) as at_many:
                seconds = in_turns(at_few, at_many)
            pair = [
                durations(f"{name}, {jobs:,} jobs wait", taken)
                for jobs, taken in zip((_FEW, deep), seconds, strict=True)
            ]
            found += [*pair, ratio("  the latter to the former", pair[1], pair[0])]
    return found


def in_turns(*acts: Callable[[], object]) -> tuple[list[float], ...]:
    """Seconds of each act, round by round, so that a disk that grows slow meanwhile is slow for all."""
    found: tuple[list[float], ...] = tuple([] for _ in acts)
    for _ in range(_ROUNDS):
        for act, seconds in zip(acts, found, strict=True):
            began = time.perf_counter()
            act()
            seconds.append(time.perf_counter() - began)
    return found


def starts(few: Path, many: Path, deep: int) -> list[Figure]:
    """Of a store whose index was lost, which a folder of files without one is, then of one that has it."""
    _start_seconds(few)
    lost, kept = _start_seconds(many), _start_seconds(many)
    return [
        single(f"start of a store, {deep:,} jobs wait", kept, "s"),
        single("  its index lost", lost, "s"),
    ]


def _start_seconds(folder: Path) -> float:
    began = time.perf_counter()
    store = FileJobStore(folder)
    seconds = time.perf_counter() - began
    store.close()
    return seconds


@contextmanager
def _claim(store: JobStore) -> Iterator[Callable[[], object]]:
    yield lambda: _claimed(store).release()


@contextmanager
def _claim_past_held(store: JobStore) -> Iterator[Callable[[], object]]:
    held = [_claimed(store) for _ in range(_HELD)]
    yield lambda: _claimed(store).release()
    for claim in held:
        claim.release()


def _claimed(store: JobStore) -> Claim:
    claim = store.claim()
    assert claim is not None
    return claim


@contextmanager
def _position_of_last(store: JobStore) -> Iterator[Callable[[], object]]:
    last = store.submit(a_ticket(), limit=_NO_LIMIT)
    yield lambda: store.position(last)


@contextmanager
def _submit(store: JobStore) -> Iterator[Callable[[], object]]:
    yield lambda: store.submit(a_ticket(), limit=_NO_LIMIT)


ACTS: dict[str, Callable[[JobStore], AbstractContextManager[Callable[[], object]]]] = {
    "claim and release": _claim,
    f"  with {_HELD} held": _claim_past_held,
    "position of the last job": _position_of_last,
    "submit": _submit,
}
"""What is measured -> what makes it ready; submits come last, as they make the short line longer."""


def _fill(folder: Path, jobs: int) -> None:
    """Job files as submits leave them: whole ones at the head of the line, links to a few behind them.

    Nothing that is measured opens those behind. To remove so many true files would slow down the making of
    others for minutes: ext4 passes over the inodes that were freed a short while ago, one by one.
    """
    folder.mkdir()
    for _ in range(min(jobs, _WHOLE)):
        ticket = a_ticket()
        path = folder / f"{ticket.id}_job.json"
        path.write_bytes(codec.write_ticket(ticket))
        # A store that has lost its index lines jobs up by the age of their files.
        os.utime(path, (ticket.created_at - 3600,) * 2)
    original = folder / "none"
    for number in range(jobs - _WHOLE):
        path = folder / f"{uuid.uuid4()}_job.json"
        if number % _LINKS:
            path.hardlink_to(original)
        else:
            path.touch()
            original = path
    os.sync()
