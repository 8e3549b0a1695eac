"""Miniature models, loaded by diffusers: its pipelines are the oracle of how a prompt is encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline

from diffusionapi.engine.prompts.chunks import Vocabulary

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(eq=False)
class Model:
    """What the encoder asks of a loaded model, and the pipeline it is taken from."""

    family: str
    pipeline: Any
    dtype: torch.dtype = torch.float32

    @property
    def device(self) -> torch.device:
        device: torch.device = self.pipeline.device
        return device

    @property
    def zeroes_empty_prompt(self) -> bool:
        return bool(self.pipeline.config.get("force_zeros_for_empty_prompt", False))

    @property
    def text_encoders(self) -> list[Any]:
        return self._parts("text_encoder")

    @property
    def tokenizers(self) -> list[Any]:
        return self._parts("tokenizer")

    def _parts(self, name: str) -> list[Any]:
        found = (getattr(self.pipeline, one, None) for one in (name, f"{name}_2"))
        return [one for one in found if one is not None]


def loaded(family: str, pipeline: Any, folder: Path) -> Model:
    return Model(family, pipeline.from_pretrained(folder))


@pytest.fixture(scope="session")
def sd1(sd1_folder: Path) -> Model:
    return loaded("sd1", StableDiffusionPipeline, sd1_folder)


@pytest.fixture(scope="session")
def sd2(sd2_folder: Path) -> Model:
    return loaded("sd2", StableDiffusionPipeline, sd2_folder)


@pytest.fixture(scope="session")
def sdxl(sdxl_folder: Path) -> Model:
    return loaded("sdxl", StableDiffusionXLPipeline, sdxl_folder)


@pytest.fixture(scope="session")
def refiner(refiner_folder: Path) -> Model:
    return loaded("refiner", StableDiffusionXLImg2ImgPipeline, refiner_folder)


@pytest.fixture(params=["sd1", "sd2", "sdxl", "refiner"])
def model(request: pytest.FixtureRequest) -> Model:
    """Each family in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Model)
    return found


@pytest.fixture(scope="session")
def vocabulary(sd1: Model) -> Vocabulary:
    return Vocabulary(sd1.pipeline.tokenizer)
