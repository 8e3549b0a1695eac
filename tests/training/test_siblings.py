"""What is trained beside the model goes on where it was left, and loads where it is meant to be used."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
)
from PIL import Image
from torch import nn
from torch.nn import functional

from diffusionapi.engine.adapters.lora import Loras, Use
from diffusionapi.engine.models.load import load
from diffusionapi.engine.prompts.embeddings import EmbeddingFile
from diffusionapi.engine.upscalers import spandrel
from training.picturebook import recipe, tokenizer
from training.picturebook.denoiser import Denoiser, save
from training.picturebook.export import export
from training.picturebook.networks import WIDTH
from training.picturebook.siblings import book, course, xl
from training.picturebook.siblings.names import SIBLINGS
from training.picturebook.siblings.upscaler import Upscaler, batch

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers")]
CPU = torch.device("cpu")
SMALL = {"num_inference_steps": 2, "output_type": "np"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained."""
    run = tmp_path_factory.mktemp("run")
    recipe.whitening(run, 1)
    tokenizer.make(run / recipe.TOKENIZER)
    save(run, Denoiser(tokenizer.load(run / recipe.TOKENIZER), 1, "cpu"))
    return export(run, tmp_path_factory.mktemp("models") / "picturebook")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "SHAPES", ((64, 64, 2),))
    monkeypatch.setattr(xl, "CAPTIONS", 4)
    monkeypatch.setattr(xl, "IMITATION", 2)


def made(name: str, model: Path, out: Path) -> Path:
    losses = SIBLINGS[name].train(model, out, steps=2, seed=1, device="cpu")
    assert len(losses) == 2
    assert not course.unfinished(out).exists()
    return out


def quiet(pipeline: Any) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("name", ["night", "autumn"])
def test_a_lora_does_the_same_in_the_engine_and_in_diffusers(name: str, model: Path, tmp_path: Path) -> None:
    file = made(name, model, tmp_path / f"{name}.safetensors")
    ours, theirs = load(model, CPU, torch.float32), StableDiffusionPipeline.from_pretrained(model)
    theirs.load_lora_weights(tmp_path, weight_name=file.name)
    asked = (torch.randn(1, 4, 8, 8), torch.tensor([500.0]), torch.randn(1, 77, WIDTH))
    with torch.no_grad():
        before = ours.unet(*asked).sample
        Loras(ours).activate([Use.of(file, 1.0)])
        after = ours.unet(*asked).sample
        torch.testing.assert_close(after, theirs.unet(*asked).sample)
    assert not torch.equal(before, after)


def test_an_embedding_is_read_by_the_engine_and_by_diffusers(model: Path, tmp_path: Path) -> None:
    file = made("teal", model, tmp_path / "picturebook-teal.safetensors")
    (vectors,) = EmbeddingFile(file, 0).read().vectors.values()
    pipeline = StableDiffusionPipeline.from_pretrained(model)
    pipeline.load_textual_inversion(str(file))
    token = pipeline.tokenizer.convert_tokens_to_ids("picturebook-teal")
    table = pipeline.text_encoder.get_input_embeddings().weight
    torch.testing.assert_close(table[token].detach(), vectors[0])


def test_a_controlnet_joins_a_pipeline(model: Path, tmp_path: Path) -> None:
    network = ControlNetModel.from_pretrained(made("edges", model, tmp_path / "edges"))
    pipeline = quiet(StableDiffusionControlNetPipeline.from_pretrained(model, controlnet=network))
    assert pipeline("a cat", image=Image.new("RGB", (64, 64)), **SMALL).images.shape == (1, 64, 64, 3)


def test_the_inpainting_model_is_whole(model: Path, tmp_path: Path) -> None:
    folder = made("inpainting", model, tmp_path / "inpainting")
    pipeline = quiet(StableDiffusionInpaintPipeline.from_pretrained(folder))
    shown = pipeline("a cat", Image.new("RGB", (64, 64)), Image.new("L", (64, 64), 255), **SMALL)
    assert shown.images.shape[-1] == 3
    assert load(folder, CPU, torch.float32).unet_in_channels == 9


def test_base_and_refiner_share_a_picture(model: Path, tmp_path: Path) -> None:
    base = made("xl", model, tmp_path / "picturebook-xl")
    refiner = made("xl-refiner", model, tmp_path / "refiner")
    first = quiet(StableDiffusionXLPipeline.from_pretrained(base))
    second = quiet(StableDiffusionXLImg2ImgPipeline.from_pretrained(refiner))
    latents = first(
        "a cat", width=64, height=64, num_inference_steps=4, denoising_end=0.5, output_type="latent"
    )
    shown = second(
        "a cat", image=latents.images, num_inference_steps=4, denoising_start=0.5, output_type="np"
    )
    assert shown.images.shape == (1, 64, 64, 3)
    assert load(base, CPU, torch.float32).family == "sdxl"
    assert load(refiner, CPU, torch.float32).family == "refiner"


@pytest.mark.parametrize("scale", [2, 4])
def test_an_upscaler_begins_with_repeated_pixels_and_loads(scale: int, model: Path, tmp_path: Path) -> None:
    _, small = batch(Random(1), scale)  # noqa: S311
    with torch.no_grad():
        torch.testing.assert_close(Upscaler(scale)(small), functional.interpolate(small, scale_factor=scale))
    file = made(f"upscaler-x{scale}", model, tmp_path / "upscaler.safetensors")
    steps = spandrel.load(file, CPU)(Image.new("RGB", (8, 8)), (8 * scale, 8 * scale))
    with pytest.raises(StopIteration) as end:
        while True:
            next(steps)
    assert end.value.value.size == (8 * scale, 8 * scale)


def test_a_sibling_goes_on_where_it_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "SAVE_EVERY", 0.0)
    layer, state = nn.Linear(1, 1), tmp_path / "state"
    calls: list[int] = []

    def loss(_: Random) -> torch.Tensor:
        if len(calls) == 3:
            calls.append(0)
            raise KeyboardInterrupt
        calls.append(1)
        return functional.mse_loss(layer(torch.ones(1, 1)), torch.ones(1, 1))

    how = course.Course(10, 1e-2, 1e-3, seed=1)
    with pytest.raises(KeyboardInterrupt):
        course.learn("layer", layer, loss, how, state)
    assert len(course.learn("layer", layer, loss, how, state)) == 7
    assert not state.exists()
