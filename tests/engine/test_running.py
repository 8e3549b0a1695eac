"""The running set: pictures side by side are the pictures they are alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from diffusionapi.core.events import Cancelled, Failed, Phase, Sampled, Step
from diffusionapi.core.request import Hires, Refiner
from diffusionapi.engine import denoiser
from diffusionapi.engine.engine import Rendered
from tests.engine.rendering import difference, latents_of, picture, render, run
from tests.factories import a_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffusionapi.engine.denoiser import Call
    from diffusionapi.engine.running import DiffusionEngine


MIXED: dict[str, dict[str, Any]] = {
    "a": {"sampler": "Euler", "steps": 6, "seed": 1, "guidance": 7.0},
    "b": {"sampler": "DPM++ 2M Karras", "steps": 9, "seed": 2, "guidance": 4.0, "prompt": "a red house"},
    "c": {"sampler": "Euler a", "steps": 5, "seed": 3, "guidance": 1.0, "negative_prompt": "fog"},
    "d": {"sampler": "Heun", "steps": 4, "seed": 4, "prompt": "a long prompt, " * 30},
}


def test_a_picture_alone_is_the_same_bit_for_bit_each_time(engine: DiffusionEngine) -> None:
    first, again = (render(engine, model="sd1", seed=5).tobytes() for _ in range(2))
    assert first == again


def test_pictures_in_company_equal_those_alone(engine: DiffusionEngine, asked: list[list[Call]]) -> None:
    requests = {name: a_request(model="sd1", **fields) for name, fields in MIXED.items()}
    together = run(engine, **requests)
    assert max(map(len, asked)) >= 3
    for name, request in requests.items():
        alone = picture(run(engine, it=request)["it"])
        assert difference(picture(together[name]), alone) < 1


def test_a_picture_that_joins_later_does_not_wait_for_the_first_to_end(engine: DiffusionEngine) -> None:
    engine.admit("long", a_request(model="sd1", steps=200))
    for _ in range(5):
        engine.step(0)
    engine.admit("short", a_request(model="sd1", steps=3))
    told: list[str] = []
    while not told or told[-1] != "short":
        told += [name for name, event in engine.step(0) if isinstance(event, Rendered)]
    assert told == ["short"]


def test_what_has_happened_is_told_before_the_next_network_call(
    engine: DiffusionEngine, asked: list[list[Call]]
) -> None:
    engine.admit("it", a_request(model="sd1", steps=5))
    told: list[object] = []
    while not any(isinstance(event, Step) for event in told):
        told += [event for _, event in engine.step(0)]
    assert len(asked) == 1


def test_cancelling_one_leaves_its_neighbours_as_they_were(engine: DiffusionEngine) -> None:
    kept = a_request(model="sd1", steps=8, seed=1)
    engine.admit("kept", kept)
    engine.admit("gone", a_request(model="sd1", steps=50, seed=2))
    for _ in range(4):
        engine.step(0)
    engine.cancel("gone")
    told = engine.step(0)
    assert ("gone", Cancelled()) in told
    events = [event for name, event in told if name == "kept"]
    while not isinstance(events[-1], Rendered):
        step = engine.step(0)
        assert all(name == "kept" for name, _ in step)
        events += [event for _, event in step]
    assert difference(picture(events), render(engine, model="sd1", steps=8, seed=1)) < 1


def test_pictures_of_other_weights_take_turns_under_a_bound(
    engine: DiffusionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusionapi.engine.running._PATIENCE", 0.05)
    engine.admit("long", a_request(model="sd1", steps=1000))
    engine.step(0)
    engine.admit("other", a_request(model="sdxl", steps=2))
    told: list[str] = []
    while "other" not in told:
        told += [name for name, event in engine.step(0) if isinstance(event, Rendered)]
    assert "long" not in told


def test_a_failure_ends_its_own_picture_and_no_other(engine: DiffusionEngine) -> None:
    told = run(
        engine,
        good=a_request(model="sd1"),
        bad=a_request(model="sd1", refiner=Refiner("refiner", 0.5)),
    )
    assert isinstance(told["good"][-1], Rendered)
    failed = told["bad"][-1]
    assert isinstance(failed, Failed)
    assert "SDXL" in failed.failure.sentence


def test_running_out_of_memory_together_is_tried_in_halves(
    engine: DiffusionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = denoiser.answer

    def small_device(calls: Sequence[Call]) -> list[torch.Tensor]:
        if len(calls) > 1:
            raise torch.OutOfMemoryError
        return answer(calls)

    monkeypatch.setattr(denoiser, "answer", small_device)
    told = run(engine, **{name: a_request(model="sd1", seed=n) for n, name in enumerate("abc")})
    assert all(isinstance(events[-1], Rendered) for events in told.values())


def test_running_out_of_memory_alone_ends_the_picture_with_advice_and_the_engine_goes_on(
    engine: DiffusionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Sequence[Call]) -> list[torch.Tensor]:
        raise torch.OutOfMemoryError

    with monkeypatch.context() as device:
        device.setattr(denoiser, "answer", full)
        failed = run(engine, it=a_request(model="sd1"))["it"][-1]
    assert isinstance(failed, Failed)
    assert failed.failure.code == "out_of_memory"
    assert "lower width and height" in failed.failure.sentence
    render(engine, model="sd1")


def test_numbers_that_are_none_are_a_failure_and_no_black_picture(
    engine: DiffusionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = denoiser.answer

    def broken(calls: Sequence[Call]) -> list[torch.Tensor]:
        return [one * float("nan") for one in answer(calls)]

    monkeypatch.setattr(denoiser, "answer", broken)
    failed = run(engine, it=a_request(model="sd1"))["it"][-1]
    assert isinstance(failed, Failed)
    assert failed.failure.code == "not_a_number"


def test_guidance_one_ignores_the_negative_prompt_and_asks_for_one_row(
    engine: DiffusionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = latents_of(monkeypatch)
    for negative in ("", "fog, rain"):
        render(engine, model="sd1", guidance=1.0, negative_prompt=negative)
    assert torch.equal(seen[0], seen[1])
    render(engine, model="sd1", guidance=2.0, negative_prompt="fog, rain")
    assert not torch.allclose(seen[1], seen[2], atol=1e-3)


def test_progress_rises_through_both_passes_to_the_whole(engine: DiffusionEngine) -> None:
    events = run(
        engine, it=a_request(model="sd1", steps=4, sampler="Heun", hires=Hires(1.5, "Latent", 3, 0.5))
    )["it"]
    fractions = [event.fraction for event in events if isinstance(event, Step)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    phases = [event.name for event in events if isinstance(event, Phase)]
    assert phases == ["loading", "initial generation", "upscaling"]
    assert picture(events).size == (96, 96)


def test_the_refiner_takes_over_by_noise_level(engine: DiffusionEngine, asked: list[list[Call]]) -> None:
    render(engine, model="sdxl", steps=20, schedule="default", refiner=Refiner("refiner", 0.8))
    # Of 20 uniform steps the first at or below timestep 199 is the seventeenth.
    families = [one.weights.model.family for calls in asked for one in calls]
    assert families == ["sdxl"] * 16 + ["refiner"] * 4


def test_a_picture_says_how_it_was_made(engine: DiffusionEngine) -> None:
    from diffusionapi.infotext import grammar

    request = a_request(model="sd1", seed=77, sampler="Euler a", guidance=5.5)
    made = picture(run(engine, it=request)["it"])
    said = grammar.read(str(made.info["parameters"]))
    assert (said["seed"], said["sampler"], said["guidance"], said["model"]) == (77, "Euler a", 5.5, "sd1")


@pytest.mark.parametrize(
    ("sampler", "schedule", "asked", "made", "notice"),
    [
        ("Heun", "karras", 4, 4, None),
        ("DPM2", "default", 3, 3, None),
        ("DPM fast", "own", 5, 5, None),
        ("UniPC", "own", 4, 4, None),
        ("Euler", "ddim", 30, 31, "Euler on the schedule 'ddim' made 31 steps, not 30"),
        ("DDIM", "own", 5, 4, "DDIM made 4 steps, not 5"),
    ],
)
def test_the_steps_that_were_made_are_reported(
    engine: DiffusionEngine, sampler: str, schedule: str, asked: int, made: int, notice: str | None
) -> None:
    request = a_request(model="sd1", seed=3, sampler=sampler, schedule=schedule, steps=asked)
    last = run(engine, it=request)["it"][-1]
    assert isinstance(last, Rendered)
    assert last.sampled == Sampled(sampler, schedule, 3, made, None, (notice,) if notice else ())


def test_the_steps_of_the_second_pass_are_reported_too(engine: DiffusionEngine) -> None:
    request = a_request(
        model="sd1", seed=3, sampler="DDIM", schedule="own", hires=Hires(1.5, "Latent", 5, 0.5)
    )
    last = run(engine, it=request)["it"][-1]
    assert isinstance(last, Rendered)
    assert last.sampled is not None
    assert (last.sampled.steps, last.sampled.hires_steps) == (3, 3)
    assert last.sampled.notices == ("DDIM made 3 steps, not 4", "DDIM made 3 steps, not 5 in the second pass")


def test_a_sampler_that_sizes_its_steps_reports_how_many_it_tried(
    engine: DiffusionEngine, asked: list[list[Call]]
) -> None:
    last = run(engine, it=a_request(model="sd1", sampler="DPM adaptive", schedule="own", steps=1))["it"][-1]
    assert isinstance(last, Rendered)
    assert last.sampled is not None
    assert 3 * last.sampled.steps == len(asked)
    assert last.sampled.notices == (f"DPM adaptive made {last.sampled.steps} steps, not 1",)
