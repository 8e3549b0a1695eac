"""How much memory this process takes and models may take, and how to give back what nobody uses any more."""

from __future__ import annotations

import ctypes
import gc
import sys

import psutil
import torch

_RESERVE = 0.4
"""Of all memory, for what is computed."""


def resident_mb() -> float:
    """Resident size of this process in MiB."""
    return float(psutil.Process().memory_info().rss) / 2**20


def for_models(device: torch.device) -> int:
    """Bytes that loaded models may take: on a GPU what is free now less a reserve, else a share of all."""
    if device.type != "cuda":
        return int(psutil.virtual_memory().total * (1 - _RESERVE))
    free, total = torch.cuda.mem_get_info(device)
    return max(int(free - total * _RESERVE), 0)


def give_back() -> None:
    """Freed memory goes back to the system: glibc and CUDA both keep it for themselves otherwise."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.accelerator.empty_host_cache()  # what was pinned
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim:
            trim(0)
