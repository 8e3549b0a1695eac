"""A miniature RestoreFormer with random weights, in the layout of published files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from diffusionapi.engine.upscalers.torchvision_shim import import_spandrel

if TYPE_CHECKING:
    from pathlib import Path


def make_restoreformer(file: Path) -> Any:
    """The network in the file."""
    import_spandrel()
    from spandrel.architectures.RestoreFormer import RestoreFormer

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = RestoreFormer(
            n_embed=16, embed_dim=32, ch=32, ch_mult=(1, 1, 1, 1, 1, 1), num_res_blocks=1, z_channels=32
        )
    torch.save({"params": network.state_dict()}, file)
    return network.eval()
