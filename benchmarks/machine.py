"""What it was measured on: processor, kernel, Python, file system, and how much others used meanwhile."""

from __future__ import annotations

import platform
import resource
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Others:
    """How much of all cores other programs used, known when the measurement is over."""

    share: str = "unknown"


@contextmanager
def others() -> Iterator[Others]:
    found = Others()
    began, all_before, ours_before = time.monotonic(), _seconds_of_all(), _seconds_of_ours()
    yield found
    others = (_seconds_of_all() - all_before) - (_seconds_of_ours() - ours_before)
    available = (time.monotonic() - began) * (psutil.cpu_count() or 1)
    found.share = f"{max(0.0, others / available):.0%} of all cores, meanwhile"


def _seconds_of_all() -> float:
    """Processor time used since the start of the machine, that which a hypervisor took away included."""
    times = psutil.cpu_times()._asdict()
    return float(sum(times[name] for name in ("user", "system", "steal") if name in times))


def _seconds_of_ours() -> float:
    """Processor time of this process and of all that it started and that has ended."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def describe(folder: str) -> dict[str, str]:
    return {
        "processor": f"{_processor()}, {psutil.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "file system": _file_system(Path(folder).resolve()),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _file_system(folder: Path) -> str:
    around = [one for one in psutil.disk_partitions(all=True) if folder.is_relative_to(one.mountpoint)]
    return max(around, key=lambda one: len(one.mountpoint)).fstype if around else "unknown"
