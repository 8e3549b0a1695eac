"""What is chosen for a device: type, order of weights, attention, exactness, memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0

from diffusionapi.engine import devices, memory
from diffusionapi.engine.adapters.lora import applied
from diffusionapi.engine.models.load import load
from tests.engine.adapters.lora_files import a_lora, save_kohya
from tests.engine.rendering import make_engine, make_house, render

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
GIB = 2**30
LAYERS = r"(to_[qkv]|to_out\.0|proj_in|conv1|conv_shortcut|downsamplers\.0\.conv)$"


@pytest.fixture
def exactness() -> Iterator[Any]:
    """torch's switches for fp32, put back afterwards."""
    switches: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn.conv]  # type: ignore[attr-defined]
    before = [one.fp32_precision for one in switches]
    yield lambda: [one.fp32_precision for one in switches]
    for one, value in zip(switches, before, strict=True):
        one.fp32_precision = value


def convolutions(network: Any) -> list[torch.Tensor]:
    return [one for one in network.parameters() if one.dim() == 4 and one.shape[1] > 1 and one.shape[2] > 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_channels_last_is_another_order_of_the_same_weights(sd1_folder: Path, dtype: torch.dtype) -> None:
    """In fp32 the weights of this folder are mapped, in bf16 they are converted into a block."""
    plain = load(sd1_folder, CPU, dtype)
    ordered = load(sd1_folder, CPU, dtype, channels_last=True)
    for mine, other in zip(plain.modules, ordered.modules, strict=True):
        for name, weight in other.state_dict().items():
            assert torch.equal(weight, mine.state_dict()[name]), name
    for network in (ordered.unet, ordered.vae):
        found = convolutions(network)
        assert found
        assert all(one.is_contiguous(memory_format=torch.channels_last) for one in found)
    assert all(one.is_contiguous() for one in plain.unet.parameters())


def test_channels_last_gives_the_same_answer_but_for_rounding(sd1_folder: Path) -> None:
    x, context = torch.randn(2, 4, 8, 8), torch.randn(2, 77, 32)
    answers = []
    for channels_last in (False, True):
        unet = load(sd1_folder, CPU, torch.float32, channels_last=channels_last).unet
        answers.append(unet(x, torch.tensor([5.0, 9.0]), context).sample)
    assert torch.allclose(answers[0], answers[1], atol=1e-4)


@pytest.mark.parametrize("folder", ["sd1_folder", "sdxl_folder"])
def test_a_lora_acts_on_channels_last_as_on_the_usual_order(
    folder: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    answers = []
    for channels_last in (False, True):
        model = load(request.getfixturevalue(folder), CPU, torch.float32, channels_last=channels_last)
        xl = model.family == "sdxl"
        file = save_kohya(tmp_path / "one.safetensors", a_lora(model, LAYERS), xl=xl)
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(2, 4, 8, 8, generator=generator)
        context = torch.randn(2, 77, model.unet.config.cross_attention_dim, generator=generator)
        added = {"text_embeds": torch.ones(2, 64), "time_ids": torch.ones(2, 6)} if xl else None
        with applied(model, [(file, 1.0)]), torch.inference_mode():
            times = torch.tensor([5.0, 9.0])
            answers.append(model.unet(x, times, context, added_cond_kwargs=added).sample)
    assert torch.allclose(answers[0], answers[1], atol=1e-4 * float(answers[0].abs().max()))


def test_attention_is_torchs_own_fused_one(sdxl_folder: Path) -> None:
    model = load(sdxl_folder, CPU, torch.float32)
    assert {type(one) for one in model.unet.attn_processors.values()} == {AttnProcessor2_0}
    assert {type(one) for one in model.vae.attn_processors.values()} == {AttnProcessor2_0}
    assert {one.config._attn_implementation for one in model.text_encoders} == {"sdpa"}  # noqa: SLF001


def test_fp32_on_a_gpu_is_all_of_it_and_the_rest_is_as_torch_has_it(exactness: Any) -> None:
    before = exactness()
    devices.prepare(CPU, torch.float32)
    devices.prepare(CUDA, torch.bfloat16)
    devices.prepare(CUDA, torch.float16)
    assert exactness() == before
    devices.prepare(CUDA, torch.float32)
    assert exactness() == ["ieee", "ieee"]


@pytest.mark.parametrize(
    ("free", "total", "expected"), [(23 * GIB, 24 * GIB, 13.4), (10 * GIB, 24 * GIB, 0.4), (GIB, 24 * GIB, 0)]
)
def test_models_may_take_of_a_gpu_what_is_free_less_a_reserve(
    free: int, total: int, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, total))
    assert memory.for_models(CUDA) / GIB == pytest.approx(expected)


@pytest.mark.gpu
def test_on_a_gpu_models_are_in_half_precision_and_channels_last(tmp_path: Path, sd1_folder: Path) -> None:
    settings = make_house(tmp_path, {"sd1": sd1_folder})
    assert devices.dtype(settings.model_copy(update={"precision": "auto"}), CUDA) in (
        torch.bfloat16,
        torch.float16,
    )
    model = load(sd1_folder, CUDA, torch.bfloat16, channels_last=True)
    assert all(one.is_cuda and one.dtype == torch.bfloat16 for one in model.unet.parameters())
    for network in (model.unet, model.vae):
        assert all(one.is_contiguous(memory_format=torch.channels_last) for one in convolutions(network))


@pytest.mark.gpu
def test_a_gpu_makes_the_picture_of_the_cpu(tmp_path: Path, sd1_folder: Path) -> None:
    settings = make_house(tmp_path, {"sd1": sd1_folder})
    pictures = []
    for device in ("cpu", "cuda"):
        engine = make_engine(settings.model_copy(update={"device": device}))
        pictures.append(np.asarray(render(engine, model="sd1"), dtype=float))
        engine.close()
    assert np.abs(pictures[0] - pictures[1]).mean() < 1
