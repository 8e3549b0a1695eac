"""What previews cost: pictures with them and without, in turns, by an engine in a process of its own."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks import engine as of_engine
from benchmarks.report import Figure, single
from diffusionapi.engine.build import BUILD
from diffusionapi.engine.process import ProcessEngine

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

TIME_LIMIT = of_engine.TIME_LIMIT
facts = of_engine.facts
_SECONDS, _PROCESSOR = attrgetter("seconds"), attrgetter("processor")


def add_options(parser: argparse.ArgumentParser) -> None:
    of_engine.add_options(parser)
    parser.add_argument("--batch", type=int, default=1, help="pictures side by side (default: %(default)s)")
    parser.add_argument("--taesd", type=Path, help="a folder of tiny decoders (default: none)")


@dataclass(frozen=True, slots=True)
class Run:
    seconds: float
    processor: float
    """Seconds of all processors that the engine's process took."""
    previews: int


def run(options: argparse.Namespace) -> list[Figure]:
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)  # of the process that is started
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        settings = of_engine.settings_of(Path(root), options)
        settings = settings.model_copy(
            update={"max_batch": options.batch, "taesd_dir": (options.taesd or Path("taesd")).absolute()}
        )
        with closing(ProcessEngine(BUILD, settings)) as engine:
            for on in (True, False):  # loads the model, fits its colours
                _render(engine, options, on=on)
            plain: list[Run] = []
            watched: list[Run] = []
            for number in range(options.rounds):
                for on in (True, False) if number % 2 else (False, True):
                    (watched if on else plain).append(_render(engine, options, on=on))
    return _figures(plain, watched, options)


def _figures(plain: Sequence[Run], watched: Sequence[Run], options: argparse.Namespace) -> list[Figure]:
    pairs = list(zip(plain, watched, strict=True))

    def ratio(of: Callable[[Run], float]) -> float:
        return statistics.median(of(one) / of(other) for other, one in pairs)

    def middle(runs: Sequence[Run], of: Callable[[Run], float]) -> float:
        return statistics.median(of(one) for one in runs)

    of_what = "a picture" if options.batch == 1 else f"{options.batch} pictures at once"
    return [
        single(f"{of_what} without previews", middle(plain, _SECONDS), "s"),
        single(f"{of_what} with previews", middle(watched, _SECONDS), "s"),
        single("  the latter to the former", ratio(_SECONDS), "times"),
        single("processor time without", middle(plain, _PROCESSOR), "s"),
        single("processor time with", middle(watched, _PROCESSOR), "s"),
        single("  the latter to the former, of the processor", ratio(_PROCESSOR), "times"),
        single("previews of it", middle(watched, attrgetter("previews")), ""),
    ]


def _render(engine: ProcessEngine, options: argparse.Namespace, *, on: bool) -> Run:
    process = psutil.Process(engine.pid)
    began, before = time.perf_counter(), _processor(process)
    for number in range(options.batch):
        engine.admit(str(number), of_engine.request_of(options, number))
        if on:
            engine.preview(str(number), True)
    left, previews = options.batch, 0
    while left:
        for _, event in engine.step(60):
            left -= of_engine.ended(event)
            previews += event.kind == "preview"
    return Run(time.perf_counter() - began, _processor(process) - before, previews)


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
