"""How much memory this process takes, and how to give back what nobody uses any more."""

from __future__ import annotations

import ctypes
import gc
import sys

import psutil
import torch


def resident_mb() -> float:
    """Resident size of this process in MiB."""
    return float(psutil.Process().memory_info().rss) / 2**20


def give_back() -> None:
    """Freed memory goes back to the system: glibc and CUDA both keep it for themselves otherwise."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim:
            trim(0)
