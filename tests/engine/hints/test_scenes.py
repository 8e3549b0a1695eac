"""Depth, normals and classes by transformers' networks, small ones with random weights, against formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    ConvNextConfig,
    DPTConfig,
    DPTForDepthEstimation,
    UperNetConfig,
    UperNetForSemanticSegmentation,
)
from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil
from transformers.models.segformer.image_processing_pil_segformer import SegformerImageProcessorPil

from diffusionapi.engine.hints.palette import ADE20K
from diffusionapi.engine.hints.readers import Readers
from diffusionapi.errors import BrokenModel
from tests.engine.rendering import a_photo

CPU = torch.device("cpu")
SIZE = (96, 64)


def a_depth_network() -> Any:
    torch.manual_seed(1)
    return DPTForDepthEstimation(
        DPTConfig(
            hidden_size=32,
            num_hidden_layers=4,
            num_attention_heads=2,
            intermediate_size=64,
            image_size=64,
            patch_size=16,
            backbone_out_indices=[0, 1, 2, 3],
            neck_hidden_sizes=[16, 16, 16, 16],
            fusion_hidden_size=16,
        )
    ).eval()


def a_segmentation_network() -> Any:
    torch.manual_seed(2)
    backbone = ConvNextConfig(
        num_channels=3,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = UperNetConfig(
        backbone_config=backbone,
        hidden_size=16,
        num_labels=150,
        auxiliary_in_channels=16,
        pool_scales=[1, 2],
    )
    return UperNetForSemanticSegmentation(config).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("hints")
    a_depth_network().save_pretrained(root / "depth")
    DPTImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(root / "depth")
    a_segmentation_network().save_pretrained(root / "segmentation")
    SegformerImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(root / "segmentation")
    return root


def read(hint: str, folder: Path) -> Any:
    return np.asarray(Readers(folder, CPU).read(hint, a_photo(*SIZE), seed=1)).astype(int)


def nearness() -> Any:
    """By transformers alone, as its own examples do it."""
    seen = DPTImageProcessorPil(size={"height": 64, "width": 64})(images=a_photo(*SIZE), return_tensors="pt")
    with torch.no_grad():
        said = a_depth_network()(**seen).predicted_depth[None]
    near = torch.nn.functional.interpolate(said, size=SIZE[::-1], mode="bicubic", align_corners=False)[0, 0]
    return ((near - near.min()) / (near.max() - near.min())).numpy()


def test_depth_is_white_where_it_is_near(folder: Path) -> None:
    assert np.abs(read("depth", folder)[:, :, 1] - (nearness() * 255).astype(int)).max() <= 1


def test_normals_follow_from_the_slope_of_the_depth(folder: Path) -> None:
    """The first ControlNet's formula: Sobel's slopes beside 2 pi, none in the background, z first."""
    near = nearness()
    padded = np.pad(near, 1, mode="reflect")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    columns = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    x, y = rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]
    lying = np.stack(
        [np.full_like(x, 2 * np.pi), *(np.where(near < 0.4, 0, 1000 * one) for one in (y, x))], 2
    )
    lying /= np.sqrt((lying**2).sum(axis=2, keepdims=True))
    far = np.abs(near - 0.4) > 1e-4
    assert np.abs(read("normal", folder) - (lying * 127.5 + 127.5))[far].max() <= 2


def test_classes_have_the_colours_of_ade20k(folder: Path) -> None:
    photo = a_photo(*SIZE)
    processor = SegformerImageProcessorPil(size={"height": 64, "width": 64})
    with torch.no_grad():
        said = a_segmentation_network()(**processor(images=photo, return_tensors="pt"))
    classes = processor.post_process_semantic_segmentation(said, target_sizes=[SIZE[::-1]])[0].numpy()
    assert len(np.unique(classes)) > 1
    assert (read("segmentation", folder) == np.asarray(ADE20K)[classes]).mean() > 0.999


def test_the_palette_begins_as_ade20ks() -> None:
    """Wall, building, sky, floor."""
    assert ADE20K[:4] == ((120, 120, 120), (180, 120, 120), (6, 230, 230), (80, 50, 50))
    assert len(ADE20K) == 150


def test_a_folder_with_another_network_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "depth").symlink_to(folder / "segmentation")
    with pytest.raises(BrokenModel, match="depth cannot be used"):
        read("depth", tmp_path)
