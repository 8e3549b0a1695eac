"""The way of a picture on a device that is not the CPU, though none is there.

torch's fake tensors know shape, type and device, and no values. So it raises when tensors of two devices
meet, and when a value is asked for.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from diffusionapi.engine.denoiser import Call, Weights, Words, answer
from diffusionapi.engine.models.load import load
from diffusionapi.engine.models.offload import Stage
from diffusionapi.engine.prompts import encode
from diffusionapi.engine.prompts.encode import PromptEncoder
from diffusionapi.engine.prompts.plan import Conditioning
from diffusionapi.engine.samplers.levels import NoiseTable
from diffusionapi.engine.samplers.noise import SeededNoise
from diffusionapi.engine.samplers.schedules import plan
from diffusionapi.engine.samplers.table import SAMPLERS
from tests.engine.samplers.problem import finish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.engine.samplers.sampler import Ask

CPU, ELSEWHERE = torch.device("cpu"), torch.device("lazy", 0)
"""`lazy` is a name that torch knows without a driver; fake tensors take it for a device like any other."""
PLACES = {"there": 0, "part by part": None, "piece by piece": 2**19}


@contextmanager
def without_values(model: LoadedModel, place: str) -> Iterator[None]:
    """Inside, the model is on that device, or visits it."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.inference_mode():
        away = place != "there"
        for module in [one for part in model.modules for one in part.modules()]:
            for name, weight in list(module.named_parameters(recurse=False)):
                fake = mode.from_tensor(weight.detach())
                setattr(module, name, nn.Parameter(fake if away else fake.to(ELSEWHERE), requires_grad=False))
            for name, buffer in list(module.named_buffers(recurse=False)):
                fake = mode.from_tensor(buffer)
                setattr(module, name, fake if away else fake.to(ELSEWHERE))
        if away:
            Stage(ELSEWHERE, PLACES[place]).take(model)
        model.device = ELSEWHERE
        yield


def ask(weights: Weights, one: Ask, conditioning: Conditioning) -> Call:
    numbers = {"sdxl": (64.0,) * 6}.get(weights.model.family, ())
    words = Words(tuple(conditioning.positive(1)), conditioning.negative(1), numbers, numbers)
    return Call(weights, one.x, one.sigma, words, 7.0)


@pytest.mark.parametrize(
    ("folder", "place", "sampler"),
    [
        ("sd1_folder", "there", "UniPC"),
        ("sd1_folder", "part by part", "DPM++ 2M Karras"),
        ("sd1_folder", "piece by piece", "Heun"),
        ("sdxl_folder", "there", "Euler a"),
        ("sdxl_folder", "part by part", "LMS"),
        ("sdxl_folder", "piece by piece", "DDIM"),
    ],
)
def test_nothing_of_the_host_meets_what_is_on_the_device_and_no_value_is_asked_for(
    folder: str, place: str, sampler: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(request.getfixturevalue(folder), CPU, torch.bfloat16, channels_last=True)
    monkeypatch.setattr(encode, "_emphasized", lambda context, _: context)  # it looks at weights of the host
    table = NoiseTable(model.alphas_cumprod)
    planned = plan(sampler, "karras" if sampler.endswith("Karras") else "default", 4, table)
    weights_of_unipc: Any = lambda ratios, _: [0.5] * len(ratios)  # noqa: E731 - numbers of the host, too
    monkeypatch.setattr("diffusionapi.engine.samplers.unipc._weights", weights_of_unipc)
    with without_values(model, place):
        conditioning = Conditioning(PromptEncoder(model), "a fox", "blurry", 4)
        assert conditioning.negative(1).context.device == ELSEWHERE
        noise = SeededNoise(1, (4, 8, 8), ELSEWHERE, planned.limits)

        def answered(one: Ask) -> Tensor:
            return answer([ask(Weights(model, table), one, conditioning)] * 2)[1]

        latents, _ = finish(SAMPLERS[sampler](planned.start(noise.next()), planned, noise), answered)
        assert (latents.device, latents.dtype) == (ELSEWHERE, torch.float32)
        pixels = model.vae.decode(latents[None].to(model.device, model.dtype)).sample
        assert (pixels.device, tuple(pixels.shape)) == (ELSEWHERE, (1, 3, 64, 64))


def test_devices_that_meet_and_values_that_are_asked_for_are_seen(sd1_folder: Path) -> None:
    model = load(sd1_folder, CPU, torch.bfloat16)
    with without_values(model, "there"):
        there = torch.zeros(2, device=ELSEWHERE)
        with pytest.raises(RuntimeError, match="device"):
            there + torch.zeros(2)
        with pytest.raises(DataDependentOutputException):
            bool((there > 0).all())
