"""Self-attention guidance against diffusers' pipeline and the paper's formula, and beside other pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from diffusers import StableDiffusionSAGPipeline
from diffusers.pipelines.deprecated.stable_diffusion_sag import pipeline_stable_diffusion_sag as theirs
from torch.nn import functional

from diffusionapi.core.request import Hires, Mask, Refiner, Source
from diffusionapi.engine import denoiser, self_attention
from diffusionapi.engine.control.acting import Acting
from diffusionapi.engine.denoiser import Call
from diffusionapi.engine.samplers.noise import SeededNoise
from diffusionapi.engine.samplers.table import SAMPLERS
from diffusionapi.engine.self_attention import Attended
from tests.engine.rendering import a_mask, a_photo, latents_of, make_engine, make_house, render, run, upload
from tests.engine.test_against_diffusers import NEGATIVE, PROMPT, distance, scheduler
from tests.factories import a_request

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from diffusionapi.engine.running import DiffusionEngine
    from diffusionapi.engine.workshop import Workshop
    from diffusionapi.settings import Settings

STEPS, SCALE = 4, 0.75
WIDE = {"width": 128, "height": 64}
"""At 64 x 64 the middle of SD's UNet has a single cell, which attends to itself alone."""


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("model", "guidance"), [("sd1", 1.0), ("sd1", 7.5), ("sd2", 1.0), ("sd2", 7.5)])
def test_latents_equal_those_of_the_pipeline(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    model: str,
    guidance: float,
) -> None:
    folder = request.getfixturevalue(f"{model}_folder")
    expected = by_pipeline(folder, guidance, SCALE)
    asked: dict[str, Any] = {
        "prompt": PROMPT,
        "negative_prompt": NEGATIVE,
        "steps": STEPS,
        "guidance": guidance,
    }
    seen = latents_of(monkeypatch)
    engine = make_engine(make_house(tmp_path, {"mini": folder}))
    for scale in (SCALE, 0.0):
        render(engine, model="mini", sampler="DDIM", schedule="own", self_attention=scale, **asked, **WIDE)
    guided, plain = seen
    assert distance(guided, expected) < 1e-4
    assert distance(plain, expected) > 1e-2


def by_pipeline(folder: Path, guidance: float, scale: float) -> Tensor:
    pipeline: Any = StableDiffusionSAGPipeline.from_pretrained(
        folder, dtype=torch.float32, safety_checker=None
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = scheduler("DDIM", pipeline.scheduler.config)
    noise = SeededNoise(7, (4, WIDE["height"] // 8, WIDE["width"] // 8), "cpu").next()
    result = pipeline(
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        sag_scale=scale,
        latents=noise[None],
        output_type="latent",
        **WIDE,
    )
    latents: Tensor = result.images[0]
    return latents


def a_call(workshop: Workshop, model: str, seed: int = 0, **fields: Any) -> Call:
    """A question in the middle of a picture."""
    made = a_request(model=model, prompt=PROMPT, negative_prompt=NEGATIVE, guidance=5.0, **fields)
    scene = workshop.scene(made)
    weights, words = scene.at(2.0, 1, second=False)
    x = torch.randn(4, 16, 24, generator=torch.Generator().manual_seed(seed)) * 2
    return Call(weights, x, 2.0, words, made.guidance)


def answered(call: Call) -> Tensor:
    """With each of its calls made."""
    asking = self_attention.asked(call, SCALE)
    ask = next(asking)
    try:
        while True:
            ask = asking.send(denoiser.answer([ask])[0])
    except StopIteration as end:
        answer: Tensor = end.value
        return answer


@pytest.fixture
def house_with_v(tmp_path: Path, sd2_v_folder: Path) -> Settings:
    return make_house(tmp_path, {"sd2_v": sd2_v_folder})


@torch.inference_mode()
@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_with_v_prediction_it_is_the_papers_formula_of_the_noise(
    house_with_v: Settings, guidance: float
) -> None:
    """diffusers adds up differences of v, in which those of what the network was shown are mixed."""
    engine = make_engine(house_with_v)
    call = replace(a_call(engine._workshop, "sd2_v"), guidance=guidance)  # noqa: SLF001 - only for its model
    assert distance(answered(call), by_formula(call)) < 1e-5


@torch.inference_mode()
@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_with_sdxl_it_is_the_papers_formula_with_the_first_attention(
    workshop: Workshop, guidance: float
) -> None:
    call = replace(a_call(workshop, "sdxl"), guidance=guidance)
    assert len(call.weights.model.unet.mid_block.attentions[0].transformer_blocks) > 1
    assert distance(answered(call), by_formula(call)) < 1e-5
    assert distance(answered(call), denoiser.answer([call])[0]) > 1e-2


def by_formula(call: Call) -> Tensor:
    """Equations 15 to 17 of the paper in its own terms, with diffusers' processor and blur."""
    sigma = call.sigma
    side = call.words.negative if call.guidance != 1 else call.words.positive[0][0]
    sizes = call.words.negative_sizes if call.guidance != 1 else call.words.positive_sizes
    attention = call.weights.model.unet.mid_block.attentions[0].transformer_blocks[0].attn1
    store, own = theirs.CrossAttnStoreProcessor(), attention.processor
    attention.processor = store
    eps_side = noise_of(call, call.x, side, sizes)
    attention.processor = own
    map_: Any = store.attention_probs
    mask = (map_.unflatten(0, (1, -1)).mean(1).sum(1) > 1.0).float()
    halvings = 2 ** (len(call.weights.model.unet.config.block_out_channels) - 1)
    mask = mask.view(1, 1, 16 // halvings, 24 // halvings)
    mask = functional.interpolate(mask, (16, 24))[0]
    assert 0 < mask.mean() < 1
    clean = call.x - sigma * eps_side
    degraded = theirs.gaussian_blur_2d(clean[None], 9, 1.0)[0] * mask + clean * (1 - mask)
    eps_degraded = noise_of(call, degraded + sigma * eps_side, side, sizes)
    eps = (call.x - denoiser.answer([call])[0]) / sigma
    return call.x - sigma * (eps + SCALE * (eps_side - eps_degraded))


def noise_of(call: Call, x: Tensor, side: Any, sizes: tuple[float, ...]) -> Tensor:
    """What the network takes for noise in `x`, given x0 + sigma * noise."""
    model, sigma = call.weights.model, call.sigma
    alpha = 1 / (1 + sigma**2)
    added = {"text_embeds": side.pooled[None], "time_ids": torch.tensor([sizes])} if sizes else None
    output: Tensor = model.unet(
        x[None] * alpha**0.5,
        torch.tensor([call.weights.table.t_of(sigma)]),
        encoder_hidden_states=side.context[None],
        added_cond_kwargs=added,
        return_dict=False,
    )[0][0]
    if model.prediction == "v_prediction":
        output = alpha**0.5 * output + (1 - alpha) ** 0.5 * (alpha**0.5 * x)
    return output


@torch.inference_mode()
def test_pictures_beside_a_guided_one_are_the_same_to_the_bit(workshop: Workshop) -> None:
    calls = [a_call(workshop, "sd1", seed) for seed in range(3)]
    alone = denoiser.answer(calls)
    attended = Attended()
    beside = denoiser.answer([calls[0], replace(calls[1], attended=attended), calls[2]])
    assert all(torch.equal(one, other) for one, other in zip(alone, beside, strict=True))
    assert attended.share.mean().item() == pytest.approx(1, abs=1e-5)
    again = Attended()
    denoiser.answer([replace(calls[1], attended=again)])
    assert torch.allclose(attended.share, again.share, atol=1e-5)
    assert torch.allclose(attended.clean, again.clean, atol=1e-4)


def test_its_second_calls_share_network_calls_with_others(
    engine: DiffusionEngine, asked: list[list[Call]]
) -> None:
    guided = a_request(model="sd1", steps=STEPS, self_attention=SCALE, **WIDE)
    run(engine, it=guided, other=replace(guided, seed=8, self_attention=0.0, steps=2 * STEPS))
    assert [len(calls) for calls in asked] == [2] * (2 * STEPS)
    assert [sum(one.guided for one in calls) for calls in asked] == [2, 1] * STEPS


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_can_be_guided(
    engine: DiffusionEngine, asked: list[list[Call]], monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    seen = latents_of(monkeypatch)
    schedule = "own" if sampler in ("DDIM", "PLMS", "UniPC", "DPM fast", "DPM adaptive") else "default"
    render(engine, model="sdxl", steps=STEPS, sampler=sampler, schedule=schedule, self_attention=SCALE)
    assert seen[0].isfinite().all()
    firsts = [calls[0].attended is not None for calls in asked]
    assert firsts == [True, False] * (len(asked) // 2)


def test_pictures_of_every_way_are_guided(
    engine: DiffusionEngine, house: Settings, asked: list[list[Call]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = latents_of(monkeypatch)
    photo, mask = upload(house, a_photo(64, 64)), upload(house, a_mask(64, 64, (16, 16, 48, 40)))
    hole = Mask(mask, 0, False, "original", only_masked=False, padding=0)
    ways: list[dict[str, Any]] = [
        {"source": Source(photo, 0.8, "stretch", None)},
        {"source": Source(photo, 0.8, "stretch", hole)},
        {"hires": Hires(2.0, "Latent", 2, 0.7)},
        {"refiner": Refiner("refiner", 0.4)},
        {"prompt": "a fox :1.2 AND an owl"},
    ]
    for way in ways:
        asked.clear()
        for scale in (0.0, SCALE):
            render(engine, model="sdxl", self_attention=scale, **way)
        plain, guided = seen[-2:]
        assert distance(guided, plain) > 1e-4, way
        assert sum(one.attended is not None for calls in asked for one in calls) == len(asked) // 3


def test_in_guess_mode_the_unwanted_side_is_blurred_without_the_controlnet(workshop: Workshop) -> None:
    nobody: Any = None
    heard, guessed = (Acting(nobody, torch.zeros(3, 8, 8), 1.0, guess) for guess in (False, True))
    call = replace(a_call(workshop, "sd1"), controls=(heard, guessed))
    for guidance, controls in ((5.0, (heard,)), (1.0, (heard, guessed))):
        asking = self_attention.asked(replace(call, guidance=guidance), SCALE)
        attended = next(asking).attended
        assert attended is not None
        attended.clean, attended.share = torch.zeros(4, 16, 24), torch.ones(2 * 3)
        again = asking.send(torch.zeros(4, 16, 24))
        assert again.controls == controls
        assert not again.guided
