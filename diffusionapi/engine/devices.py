"""Which device an engine runs on, and in which precision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from diffusionapi.errors import Misconfigured

if TYPE_CHECKING:
    from torch import Tensor

    from diffusionapi.settings import Settings

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Processors with any of these compute bf16 about twice as fast as fp32; others emulate it."""


def device(settings: Settings) -> torch.device:
    """The device that DEVICE names, or the best there is."""
    if settings.device != "auto":
        chosen = torch.device(settings.device)
        if chosen.type == "cuda" and not torch.cuda.is_available():
            raise Misconfigured(f"Setting DEVICE: {settings.device!r}, but torch finds no CUDA device")
        if chosen.type == "cuda" and (chosen.index or 0) >= (there := torch.cuda.device_count()):
            raise Misconfigured(f"Setting DEVICE: {settings.device!r}, but torch finds only {there} of them")
        if chosen.type == "mps" and not torch.backends.mps.is_available():
            raise Misconfigured("Setting DEVICE: 'mps', but torch finds no such device")
        return chosen
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def dtype(settings: Settings, device: torch.device) -> torch.dtype:
    """The precision that PRECISION names, or the fastest that is safe there."""
    return fastest(device) if settings.precision == "auto" else _DTYPES[settings.precision]


def fastest(device: torch.device) -> torch.dtype:
    match device.type:
        case "cuda":
            return (
                torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
            )
        case "cpu":
            return torch.bfloat16 if _cpu_flags() & _BF16_FLAGS else torch.float32
        case _:
            return torch.float32


def prepare(device: torch.device, dtype: torch.dtype) -> None:
    """What torch is told once about a device, for the whole process.

    Who asks for fp32 gets all of it: TF32, which torch has on for convolutions, keeps as many bits as fp16.
    """
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)  # else whatever names no device would take memory of the first one
    if device.type == "cuda" and dtype == torch.float32:
        torch.backends.cuda.matmul.fp32_precision = "ieee"
        torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor of the CPU on the device; nobody waits, neither for it nor for what the device has to do."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return set(flags.partition(":")[2].split())
