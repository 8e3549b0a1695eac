"""Where what is loaded waits until it is used, and in which form: models, VAEs and ControlNets alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from diffusionapi.engine.models.loaded import Resident
    from diffusionapi.engine.models.offload import Stage

    R = TypeVar("R", bound=Resident)


@dataclass(frozen=True, slots=True)
class Quarters:
    home: torch.device
    """The device, or main memory with a `stage`."""
    stage: Stage | None
    dtype: torch.dtype
    channels_last: bool
    """The order of memory that a GPU's convolutions want of their weights."""
    pickles: bool
    """Whether files may be pickles."""

    def loader(self, load: Callable[..., R]) -> Callable[[Path], R]:
        """What is loaded at home so, and visits the device from there if it does not live on it."""

        def settled(path: Path) -> R:
            one = load(
                path, self.home, self.dtype, channels_last=self.channels_last, allow_pickles=self.pickles
            )
            if self.stage:
                self.stage.take(one)
            return one

        return settled
