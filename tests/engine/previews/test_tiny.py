"""Tiny decoders are used where they are installed, one for SD and one for SDXL."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderTiny

from diffusionapi.engine.previews import tiny
from diffusionapi.engine.previews.tiny import TinyDecoders

_CPU = torch.device("cpu")


def install(folder: Path) -> Path:
    torch.manual_seed(0)
    blocks = {"encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4}
    AutoencoderTiny(**blocks).save_pretrained(folder)
    return folder


def test_the_folder_tells_the_family(tmp_path: Path) -> None:
    install(tmp_path / "taesd")
    install(tmp_path / "models--someone--taesdxl" / "snapshots" / "abc")
    found = TinyDecoders(tmp_path, _CPU, torch.float32)
    assert found.of("sd1") is found.of("sd2") is not None
    assert found.of("sdxl") is found.of("refiner") is not None
    assert found.of("sd1") is not found.of("sdxl")


def test_without_one_there_is_none(tmp_path: Path) -> None:
    install(tmp_path / "taesdxl")
    assert TinyDecoders(tmp_path, _CPU, torch.float32).of("sd1") is None
    assert TinyDecoders(tmp_path / "nowhere", _CPU, torch.float32).of("sd1") is None


def test_one_that_is_broken_is_told_of_once_and_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = install(tmp_path / "taesd")
    (folder / "diffusion_pytorch_model.safetensors").write_bytes(b"cut")
    found = TinyDecoders(tmp_path, _CPU, torch.float32)
    with caplog.at_level(logging.WARNING):
        assert found.of("sd1") is None
        assert found.of("sd1") is None
    assert [one.name for one in caplog.records].count(tiny.__name__) == 1


@pytest.mark.parametrize(
    ("cells", "pixels"), [((16, 24), (64, 96)), ((256, 256), (512, 512)), ((1, 3), (8, 8))]
)
@torch.inference_mode()
def test_it_decodes_at_half_the_size_and_large_ones_smaller(
    tmp_path: Path, cells: tuple[int, int], pixels: tuple[int, int]
) -> None:
    decoder = TinyDecoders(install(tmp_path / "taesd").parent, _CPU, torch.float32).of("sd1")
    seen = tiny.decoded(decoder, torch.randn(4, *cells))
    assert (seen.shape, seen.dtype) == ((*pixels, 3), torch.uint8)


@torch.inference_mode()
def test_it_shows_what_the_whole_autoencoder_decodes(tmp_path: Path) -> None:
    folder = install(tmp_path / "taesd")
    whole = AutoencoderTiny.from_pretrained(folder).eval()
    decoder = TinyDecoders(tmp_path, _CPU, torch.float32).of("sd1")
    flat = torch.full((4, 32, 32), 0.7)
    wanted = whole.decode(flat[None, :, :16, :16]).sample[0].add(1).mul(127.5).round().clamp(0, 255).byte()
    assert torch.equal(tiny.decoded(decoder, flat), wanted.permute(1, 2, 0))
