"""What a claim, a submit, a look at the line and a start cost when few jobs wait and when very many do."""

from __future__ import annotations

import os
import time
import uuid
from contextlib import closing
from typing import TYPE_CHECKING

from benchmarks.report import Figure, durations, ratio, single
from diffusionapi.core.job import Ticket
from diffusionapi.core.request import GenerationRequest
from diffusionapi.jobs import codec
from diffusionapi.jobs.file import FileJobStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from diffusionapi.jobs.store import Claim

_FEW = 10
_ROUNDS = 200
_HELD = 8
"""Jobs that are held, as by an engine that renders so many side by side, while the next ones are claimed."""
_NO_LIMIT = 10_000_000


def figures(folder: Path, *, deep: int) -> list[Figure]:
    few, many = folder / "few", folder / "many"
    _fill(few, _FEW)
    _fill(many, deep)
    found = starts(few, many, deep)
    with closing(FileJobStore(few)) as short, closing(FileJobStore(many)) as long:
        for name, measure in _COSTS.items():
            pair = [durations(f"{name}, {_FEW} jobs wait", measure(short))]
            pair.append(durations(f"{name}, {deep:,} jobs wait", measure(long)))
            found += [*pair, ratio("  the latter to the former", pair[1], pair[0])]
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


def _claims(store: FileJobStore) -> list[float]:
    return [_seconds(lambda: _claimed(store).release()) for _ in range(_ROUNDS)]


def _claims_past_held(store: FileJobStore) -> list[float]:
    held = [_claimed(store) for _ in range(_HELD)]
    found = _claims(store)
    for claim in held:
        claim.release()
    return found


def _claimed(store: FileJobStore) -> Claim:
    claim = store.claim()
    assert claim is not None
    return claim


def _submits(store: FileJobStore) -> list[float]:
    return [_submit(store, _ticket()) for _ in range(_ROUNDS)]


def _submit(store: FileJobStore, ticket: Ticket) -> float:
    return _seconds(lambda: store.submit(ticket, limit=_NO_LIMIT))


def _looks_at_last(store: FileJobStore) -> list[float]:
    last = _ticket()
    _submit(store, last)
    return [_seconds(lambda: store.position(last.id)) for _ in range(_ROUNDS)]


_COSTS: dict[str, Callable[[FileJobStore], list[float]]] = {
    "claim and release": _claims,
    f"  with {_HELD} held": _claims_past_held,
    "position of the last job": _looks_at_last,
    "submit": _submits,
}
"""What is measured -> how; submits come last, as they make the short line longer."""


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _ticket() -> Ticket:
    request = GenerationRequest(
        prompt="a lighthouse",
        negative_prompt="",
        model="fake",
        width=512,
        height=512,
        steps=20,
        guidance=7.0,
        sampler="DPM++ 2M Karras",
        schedule="karras",
        seed=1,
        file_type="jpg",
        quality=85,
        loras=(),
        hires=None,
        refiner=None,
    )
    return Ticket(str(uuid.uuid4()), "primary", time.time(), request, {"prompt": "a lighthouse"})


def _fill(folder: Path, jobs: int) -> None:
    """Job files as submits leave them, without waiting for the disk at each."""
    folder.mkdir()
    pattern = _ticket()
    content = codec.write_ticket(pattern)
    for _ in range(jobs):
        job = str(uuid.uuid4())
        descriptor = os.open(folder / f"{job}_job.json", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(descriptor, content.replace(pattern.id.encode(), job.encode()))
        os.close(descriptor)
