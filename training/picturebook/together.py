"""Several processes train one network: each learns from pictures of its own, and all take the same mean step.

Started by `python -m torch.distributed.run --nproc-per-node 2 -m training.picturebook …`; small networks gain
more from two processes of one thread each than from one process of two.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Iterable


def join() -> int:
    """This process's number; 0 when it is alone."""
    if "WORLD_SIZE" not in os.environ:
        return 0
    if not distributed.is_initialized():
        distributed.init_process_group("gloo")
    return distributed.get_rank()


def size() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def wait() -> None:
    """Until all are here."""
    if distributed.is_initialized():
        distributed.barrier()


def average_gradients(weights: Iterable[torch.Tensor]) -> None:
    if size() == 1:
        return
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    joined = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(joined)
    joined /= size()
    means = torch.split(joined, [one.numel() for one in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))
