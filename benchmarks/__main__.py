"""`python -m benchmarks [SUITE]`: runs one suite within its time and prints what it found."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from typing import TYPE_CHECKING, Protocol, cast

from benchmarks import machine, report

if TYPE_CHECKING:
    from types import FrameType

SUITES = {
    "serving": "benchmarks.serving",
    "engine": "benchmarks.engine",
    "previews": "benchmarks.previews",
    "redis": "benchmarks.redis",
}
"""Name of a suite -> its module, which is imported only when it is asked for."""


class Suite(Protocol):
    """What a suite's module has."""

    TIME_LIMIT: int
    """Seconds after which a run is given up."""

    def add_options(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, options: argparse.Namespace) -> list[report.Figure]: ...

    def facts(self, options: argparse.Namespace) -> dict[str, str]:
        """What else is to be known of what it ran on."""


def main() -> None:
    arguments = sys.argv[1:]
    name = arguments.pop(0) if arguments and arguments[0] in SUITES else "serving"
    suite = cast("Suite", importlib.import_module(SUITES[name]))
    options = _options(name, suite, arguments)
    _end_in_time(suite.TIME_LIMIT)
    with machine.others() as others:
        figures = suite.run(options)
    facts = machine.describe(options.folder) | suite.facts(options)
    facts["used by other programs"] = others.share
    sys.stdout.write(report.as_json(facts, figures) if options.json else report.as_text(facts, figures))


def _options(name: str, suite: Suite, arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        usage=f"scripts/bench [{'|'.join(SUITES)}] [options]",
        description=f"The suite {name!r}.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument(
        "--folder",
        default="/var/tmp",  # noqa: S108 - on a disk, where /tmp is memory on many machines
        help="where temporary files go; its disk is measured too (default: %(default)s)",
    )
    suite.add_options(parser)
    return parser.parse_args(arguments)


def _end_in_time(seconds: int) -> None:
    """When it takes too long or is told to stop: end so that servers are stopped and folders removed."""

    def end(number: int, _: FrameType | None) -> None:
        why = f"not done within {seconds} s" if number == signal.SIGALRM else "told to stop"
        raise SystemExit(f"The benchmark was given up: {why}")

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)


if __name__ == "__main__":
    main()
