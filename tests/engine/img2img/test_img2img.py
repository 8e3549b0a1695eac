"""Pictures from pictures in the running set of the real engine, on miniature models."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from diffusionapi.core.events import Failed, Phase, Step
from diffusionapi.core.request import Hires, Mask, Refiner, Source
from diffusionapi.core.sampling import FEWEST_STEPS, SAMPLERS, resolve
from diffusionapi.engine import autoencoder
from diffusionapi.engine.engine import Rendered
from diffusionapi.engine.img2img.resizing import RESIZE
from tests.engine.rendering import (
    a_mask,
    a_photo,
    difference,
    latents_of,
    picture,
    pixels,
    render,
    run,
    upload,
)
from tests.factories import a_request

if TYPE_CHECKING:
    from PIL import Image

    from diffusionapi.core.events import Sampled
    from diffusionapi.engine.denoiser import Call
    from diffusionapi.engine.engine import EngineEvent
    from diffusionapi.engine.running import DiffusionEngine
    from diffusionapi.settings import Settings

PHOTO = a_photo(64, 64)
BOX = (16, 16, 48, 40)


def masked(house: Settings, mask: Image.Image | None = None, **how: Any) -> Mask:
    name = upload(house, mask or a_mask(64, 64, BOX))
    plain = Mask(name, blur=0, invert=False, fill="original", only_masked=False, padding=0)
    return replace(plain, **how)


def source(
    house: Settings, strength: float = 0.5, mask: Mask | None = None, photo: Image.Image = PHOTO
) -> Source:
    return Source(upload(house, photo), strength, "stretch", mask)


def rendered(events: list[EngineEvent]) -> Rendered:
    assert isinstance(events[-1], Rendered), events[-1]
    return events[-1]


def sampled(events: list[EngineEvent]) -> Sampled:
    how = rendered(events).sampled
    assert how is not None
    return how


def assert_same_outside(made: Image.Image, photo: Image.Image, box: tuple[int, int, int, int]) -> None:
    ours, theirs = made.convert("RGB"), photo.copy()
    assert made.size == photo.size
    assert difference(ours.crop(box), theirs.crop(box)) > 1
    for one in (ours, theirs):
        one.paste("black", box)
    assert ours.tobytes() == theirs.tobytes()


# --- steps -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampler", "schedule", "strength", "steps", "calls"),
    [
        ("Euler", "karras", 0.5, 6, 6),
        ("Euler", "karras", 0.05, 1, 1),
        ("Euler", "karras", 1.0, 10, 10),
        ("Heun", "default", 0.5, 6, 11),
        ("DPM++ 2M Karras", "karras", 0.75, 8, 8),
        ("DDIM", "own", 0.5, 4, 4),
        ("PLMS", "own", 0.5, 5, 5),
        ("UniPC", "own", 0.5, 5, 5),
    ],
)
def test_the_steps_are_those_of_a1111_and_no_others_are_told(
    engine: DiffusionEngine,
    house: Settings,
    asked: list[list[Call]],
    sampler: str,
    schedule: str,
    strength: float,
    steps: int,
    calls: int,
) -> None:
    request = a_request(
        model="sd1", sampler=sampler, schedule=schedule, steps=10, source=source(house, strength)
    )
    events = run(engine, it=request)["it"]
    assert len(asked) == calls
    how = sampled(events)
    assert (how.steps, how.notices) == (steps, ())
    told = [event for event in events if isinstance(event, Step)]
    assert {one.steps for one in told} == {steps}
    assert [one.fraction for one in told] == sorted(one.fraction for one in told)
    assert (told[-1].step, told[-1].fraction) == (steps, 1.0)
    assert [event.name for event in events if isinstance(event, Phase)] == ["loading", "generation"]


def test_a_prompt_changes_at_its_share_of_the_steps_that_are_made(
    engine: DiffusionEngine, house: Settings, asked: list[list[Call]]
) -> None:
    render(engine, model="sd1", prompt="[fox:owl:0.5]", steps=10, source=source(house, 0.5))
    said = [one.words.positive[0][0] for calls in asked for one in calls]
    assert [one is said[0] for one in said] == [True] * 3 + [False] * 3


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_every_sampler_makes_a_picture_at_every_strength(
    engine: DiffusionEngine, house: Settings, sampler: str, strength: float
) -> None:
    schedule = resolve(sampler, "karras", 20, sampler_field="", schedule_field="").schedule
    made = render(
        engine,
        model="sd1",
        sampler=sampler,
        schedule=schedule,
        steps=max(3, FEWEST_STEPS.get(sampler, 1)),
        source=source(house, strength, masked(house)),
    )
    assert_same_outside(made, PHOTO, BOX)


@pytest.mark.parametrize("inpaint", [False, True])
def test_a_strength_of_0_gives_the_source_without_a_look_at_it(
    engine: DiffusionEngine, house: Settings, asked: list[list[Call]], inpaint: bool
) -> None:
    given = source(house, 0.0, masked(house) if inpaint else None)
    events = run(engine, it=a_request(model="sd1", source=given))["it"]
    assert picture(events).tobytes() == PHOTO.tobytes()
    assert not asked
    assert (sampled(events).steps, sampled(events).notices) == (0, ())


def test_more_strength_changes_more(
    engine: DiffusionEngine, house: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In latents, which the VAE of a miniature does not show well."""
    seen = latents_of(monkeypatch)
    for strength in (0.1, 0.5, 0.9):
        render(engine, model="sd1", steps=10, guidance=1.0, source=source(house, strength))
    start = seen[0]
    assert start.isfinite().all()
    encoded = autoencoder.encode(_model(engine), PHOTO)
    far = [float((one - encoded).norm()) for one in seen]
    assert far == sorted(far)


def _model(engine: DiffusionEngine) -> Any:
    workshop = engine._workshop  # noqa: SLF001 - only for its model
    return workshop.scene(a_request(model="sd1")).model


def test_nothing_to_paint_ends_at_once_and_says_why(
    engine: DiffusionEngine, house: Settings, asked: list[list[Call]]
) -> None:
    black = masked(house, a_mask(64, 64))
    events = run(engine, it=a_request(model="sd1", source=source(house, 0.5, black)))["it"]
    assert not asked
    assert picture(events).tobytes() == PHOTO.tobytes()
    assert sampled(events).notices == ("The mask has no white in it, so nothing was painted",)


# --- company ---------------------------------------------------------------------------------------------


def test_they_share_network_calls_with_pictures_from_noise_and_are_what_they_are_alone(
    engine: DiffusionEngine, house: Settings, asked: list[list[Call]]
) -> None:
    requests = {
        "noise": a_request(model="sd1", steps=6, seed=1),
        "photo": a_request(model="sd1", steps=8, seed=2, source=source(house, 0.6), sampler="Euler a"),
        "hole": a_request(model="sd1", steps=8, seed=3, source=source(house, 0.8, masked(house))),
        "ddim": a_request(
            model="sd1",
            steps=8,
            seed=4,
            sampler="DDIM",
            schedule="own",
            source=source(house, 0.8, masked(house)),
        ),
    }
    together = run(engine, **requests)
    assert max(len(calls) for calls in asked) == 4
    for name, request in requests.items():
        alone = picture(run(engine, it=request)["it"])
        assert difference(picture(together[name]), alone) < 1, name


def test_the_same_request_gives_the_same_picture_and_another_seed_another(
    engine: DiffusionEngine, house: Settings
) -> None:
    given = source(house, 0.9, masked(house, fill="noise"))
    first, again, other = (
        render(engine, model="sd1", seed=seed, steps=8, source=given).tobytes() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_refiner_takes_over_here_too(
    engine: DiffusionEngine, house: Settings, asked: list[list[Call]]
) -> None:
    render(
        engine,
        model="sdxl",
        steps=20,
        schedule="default",
        refiner=Refiner("refiner", 0.8),
        source=source(house, 0.5, masked(house)),
    )
    # The tail of 20 uniform levels that has 11, the lowest four of which lie behind timestep 199.
    families = [one.weights.model.family for calls in asked for one in calls]
    assert families == ["sdxl"] * 7 + ["refiner"] * 4


def test_a_second_pass_is_refused_in_a_sentence_and_the_engine_goes_on(
    engine: DiffusionEngine, house: Settings
) -> None:
    request = a_request(model="sd1", source=source(house), hires=Hires(2.0, "Latent", 3, 0.5))
    failed = run(engine, it=request)["it"][-1]
    assert isinstance(failed, Failed)
    assert "second pass" in failed.failure.sentence
    render(engine, model="sd1")


def test_a_source_that_is_gone_ends_its_picture_and_no_other(engine: DiffusionEngine) -> None:
    gone = Source("00000000-0000-0000-0000-000000000000.png", 0.5, "stretch", None)
    told = run(engine, gone=a_request(model="sd1", source=gone), good=a_request(model="sd1"))
    assert isinstance(told["gone"][-1], Failed)
    assert isinstance(told["good"][-1], Rendered)


# --- masks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", ["original", "blurred", "noise", "blank"])
@pytest.mark.parametrize("model", ["sd1", "sdxl"])
def test_outside_of_the_mask_the_picture_is_the_source_to_the_bit(
    engine: DiffusionEngine, house: Settings, fill: str, model: str
) -> None:
    made = render(engine, model=model, steps=3, source=source(house, 0.9, masked(house, fill=fill)))
    assert_same_outside(made, PHOTO, BOX)


def test_what_the_hole_holds_at_first_is_seen_in_what_comes_of_it(
    engine: DiffusionEngine, house: Settings, asked: list[list[Call]]
) -> None:
    starts = {}
    for fill in ("original", "blurred", "noise", "blank"):
        asked.clear()
        render(engine, model="sd1", steps=4, source=source(house, 0.3, masked(house, fill=fill)))
        starts[fill] = asked[0][0].x
    kept = torch.ones(8, 8, dtype=torch.bool)
    kept[2:5, 2:6] = False
    sigma = asked[0][0].sigma
    noise = torch.randn((4, 8, 8), generator=torch.Generator().manual_seed(7))
    assert torch.allclose(starts["blank"][:, ~kept], noise[:, ~kept] * sigma, atol=1e-5)
    assert torch.allclose(starts["noise"][:, ~kept], noise[:, ~kept] * (1 + sigma), atol=1e-4)
    assert torch.equal(starts["blank"][:, kept], starts["original"][:, kept])
    assert not torch.allclose(starts["blurred"][:, ~kept], starts["original"][:, ~kept], atol=1e-3)


@pytest.mark.parametrize(("sampler", "schedule"), [("Euler", "karras"), ("DDIM", "own")])
def test_the_network_sees_the_original_around_the_hole_at_every_level(
    engine: DiffusionEngine,
    house: Settings,
    asked: list[list[Call]],
    monkeypatch: pytest.MonkeyPatch,
    sampler: str,
    schedule: str,
) -> None:
    seen = latents_of(monkeypatch)
    whole = source(house, 0.8, masked(house))
    render(engine, model="sd1", steps=6, sampler=sampler, schedule=schedule, source=whole)
    noise = torch.randn((4, 8, 8), generator=torch.Generator().manual_seed(7))
    around = torch.ones(8, 8, dtype=torch.bool)
    around[2:5, 2:6] = False
    for call in (one for calls in asked for one in calls):
        clean = call.x - noise * call.sigma
        assert torch.allclose(clean[:, around], seen[-1][:, around], atol=1e-4)


def test_only_the_masked_region_is_painted_at_full_size_and_set_back(
    engine: DiffusionEngine, house: Settings, asked: list[list[Call]]
) -> None:
    photo, box = a_photo(101, 75), (40, 30, 57, 47)
    mask = masked(house, a_mask(101, 75, box), only_masked=True, padding=4)
    request = a_request(
        model="sd1", steps=4, width=96, height=96, source=source(house, 0.8, mask, photo=photo)
    )
    events = run(engine, it=request)["it"]
    assert tuple(asked[0][0].x.shape) == (4, 12, 12)
    last = rendered(events)
    assert (last.width, last.height) == (101, 75)
    assert_same_outside(picture(events), photo, box)


@pytest.mark.parametrize("resize", ["stretch", "crop", "fill"])
def test_a_source_of_another_shape_is_resized_first(
    engine: DiffusionEngine, house: Settings, resize: str
) -> None:
    photo, size, box = a_photo(90, 50), (72, 104), (24, 40, 40, 64)
    shape = masked(house, RESIZE["stretch"](a_mask(*size, box), (90, 50)))
    given = Source(upload(house, photo), 0.8, resize, shape)  # type: ignore[arg-type]
    made = render(engine, model="sd1", steps=3, width=size[0], height=size[1], source=given)
    resized = RESIZE[resize](photo, size)  # type: ignore[index]
    assert made.size == size
    same = (pixels(made) == pixels(resized)).all(axis=-1)
    assert 0.3 < same.mean() < 1
    assert same[:4].all()
    assert same[-4:].all()
