from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageChops, ImageDraw

from diffusionapi.core.events import Failed, Phase, Sampled, Step
from diffusionapi.core.request import Control, Hires, Mask, Source, Upscale
from diffusionapi.engine.blanking import NOTICES, blanked
from diffusionapi.infotext.files import texts
from diffusionapi.infotext.grammar import Facts, write
from tests.engine.fake.acting import difference, picture, put, rendered, run
from tests.factories import a_request, an_upscaling
from tests.folders import folder_of
from tests.stubs import a_file

if TYPE_CHECKING:
    from diffusionapi.core.request import Blanking, FileType, GenerationRequest
    from diffusionapi.engine.fake.props import Props
    from diffusionapi.settings import Settings

PHOTO = Image.linear_gradient("L").resize((64, 64)).convert("RGB")


def drawn(request: GenerationRequest, props: Props) -> Image.Image:
    return picture(run(request, props))


def test_steps_count_up_to_the_whole(props: Props) -> None:
    steps = [event for event in run(a_request(steps=3), props) if isinstance(event, Step)]
    assert [(one.step, one.steps) for one in steps] == [(1, 3), (2, 3), (3, 3)]
    assert steps[-1].fraction == 1.0


def test_the_second_pass_is_the_second_half(props: Props) -> None:
    events = run(a_request(steps=2, hires=Hires(2.0, "Latent", 3, 0.4)), props)
    assert [event.name for event in events if isinstance(event, Phase)] == ["initial generation", "upscaling"]
    assert [round(event.fraction, 3) for event in events if isinstance(event, Step)] == [
        0.25,
        0.5,
        0.667,
        0.833,
        1,
    ]


@pytest.mark.parametrize(("file_type", "kind"), [("png", "PNG"), ("jpg", "JPEG")])
def test_the_picture_has_the_size_and_type_that_were_asked_for(
    props: Props, file_type: str, kind: str
) -> None:
    hires = Hires(1.5, "Latent", 1, 0.4)
    made = drawn(a_request(width=96, height=64, file_type=file_type, hires=hires), props)
    assert (made.format, made.size) == (kind, (144, 96))


@pytest.mark.parametrize("file_type", ["png", "jpg"])
def test_its_file_says_how_it_was_made_as_a_real_one_does(props: Props, file_type: FileType) -> None:
    request = a_request(prompt="a fox", file_type=file_type)
    found = texts(rendered(run(request, props)).content)
    assert found is not None
    assert found.settings == write(request, Facts())


def test_the_same_request_gives_the_same_picture_and_another_seed_another(props: Props) -> None:
    first, again, other = (drawn(a_request(seed=seed), props).tobytes() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_it_fails_when_told_to_at_the_step_it_was_told(props: Props) -> None:
    *steps, last = run(a_request(prompt="x #fail@3", steps=9), props)
    assert sum(isinstance(event, Step) for event in steps) == 2
    assert isinstance(last, Failed)


def test_it_reports_how_it_sampled(props: Props) -> None:
    hires = Hires(2.0, "Latent", 3, 0.4)
    request = a_request(sampler="DDIM", schedule="own", seed=9, steps=2, hires=hires)
    assert rendered(run(request, props)).sampled == Sampled("DDIM", "own", 9, 2, 3)


# --- what a request may ask for besides ------------------------------------------------------------------


def test_another_vae_or_self_attention_gives_another_picture(props: Props) -> None:
    requests = [a_request(), a_request(vae="mse"), a_request(vae="ema"), a_request(self_attention=0.75)]
    assert len({drawn(one, props).tobytes() for one in requests}) == 4


def test_what_holds_a_picture_shows_in_it_as_strongly_as_it_is_to(props: Props) -> None:
    given = Image.new("L", (64, 64))
    ImageDraw.Draw(given).rectangle((16, 16, 48, 48), outline=255)
    upload = put(props.uploads, given)
    free = drawn(a_request(), props)
    far = [
        difference(
            drawn(a_request(controls=(Control("c", upload, "none", scale, 0.0, end, False),)), props), free
        )
        for scale, end in ((0.0, 1.0), (0.5, 1.0), (1.0, 0.8), (1.0, 1.0))
    ]
    assert far[0] == 0
    assert far == sorted(far)
    assert far[-1] > 1


def test_what_holds_a_picture_has_to_be_there(props: Props) -> None:
    gone = Control("c", "00000000-0000-4000-8000-000000000000.png", "none", 1.0, 0.0, 1.0, False)
    assert isinstance(run(a_request(controls=(gone,)), props)[-1], Failed)


@pytest.mark.parametrize(("tiling", "fits"), [("none", ()), ("horizontal", "x"), ("both", "xy")])
def test_opposite_edges_fit_along_the_axes_that_are_tiled(props: Props, tiling: str, fits: str) -> None:
    made = drawn(a_request(width=96, tiling=tiling), props)
    edges = {"x": ((0, 0, 1, 64), (95, 0, 96, 64)), "y": ((0, 0, 96, 1), (0, 63, 96, 64))}
    for axis, (one, other) in edges.items():
        same = not ImageChops.difference(made.crop(one), made.crop(other)).getbbox()
        assert same == (axis in fits)


def test_a_finished_picture_is_made_larger(props: Props) -> None:
    events = run(a_request(width=96, upscale=Upscale("Lanczos", 2.5, False)), props)
    assert picture(events).size == (240, 160)
    assert (rendered(events).width, rendered(events).height) == (240, 160)
    assert [event.name for event in events if isinstance(event, Phase)] == ["generation", "upscaling"]
    fractions = [event.fraction for event in events if isinstance(event, Step)]
    assert fractions == sorted(set(fractions))
    assert fractions[-1] == 1.0
    alone = drawn(a_request(width=96), props)
    assert difference(picture(events), alone.resize((240, 160), Image.Resampling.LANCZOS)) == 0
    faces = drawn(a_request(width=96, upscale=Upscale("Lanczos", 2.5, True)), props)
    assert faces.tobytes() != picture(events).tobytes()


def test_prompts_count_as_translated_where_something_can_and_they_have_to_be(
    settings: Settings, props: Props
) -> None:
    german = "ein alter Leuchtturm an der stürmischen Küste", "unscharf, schlecht gezeichnet"
    request = a_request(prompt=german[0], negative_prompt=german[1], translate=True)
    assert isinstance(run(request, props)[-1], Failed)
    folder = settings.path(settings.translators_dir) / "opus-mt-de-en"
    a_file(folder / "model.safetensors", {})
    (folder / "config.json").write_text('{"model_type": "marian"}')
    for asked, told in ((request, german), (a_request(prompt="an old lighthouse", translate=True), None)):
        sampled = rendered(run(asked, props)).sampled
        assert sampled is not None
        assert sampled.translated == told


def test_a_given_picture_is_made_larger(props: Props) -> None:
    events = run(an_upscaling(upload=put(props.uploads, PHOTO), scale=1.5, file_type="jpg"), props)
    made = rendered(events)
    assert (made.width, made.height, made.sampled) == (96, 96, None)
    assert (picture(events).format, picture(events).size) == ("JPEG", (96, 96))
    assert [event.fraction for event in events if isinstance(event, Step)][-1] == 1.0
    same = run(an_upscaling(upload=put(props.uploads, PHOTO), scale=1.0), props)
    assert picture(same).tobytes() == PHOTO.tobytes()


def test_a_given_picture_that_is_gone_cannot_be_made_larger(props: Props) -> None:
    assert isinstance(run(an_upscaling(), props)[-1], Failed)


# --- pictures from pictures ------------------------------------------------------------------------------


def source(props: Props, strength: float, *, mask: bool = False, only_masked: bool = False) -> Source:
    white = Image.new("L", (64, 64))
    white.paste(255, (16, 16, 48, 40))
    upload = put(props.uploads, white)
    inside = Mask(upload, 0, False, "original", only_masked=only_masked, padding=0)
    return Source(put(props.uploads, PHOTO), strength, "stretch", inside if mask else None)


def test_the_source_shows_the_less_the_more_strength_there_is(props: Props) -> None:
    made = [drawn(a_request(source=source(props, strength)), props) for strength in (0.0, 0.3, 0.6, 1.0)]
    far = [difference(one, PHOTO) for one in made]
    assert far[0] == 0
    assert far == sorted(far)
    assert made[-1].tobytes() == drawn(a_request(), props).tobytes()


@pytest.mark.parametrize("only_masked", [False, True])
def test_outside_of_the_mask_the_source_stays_to_the_bit(props: Props, only_masked: bool) -> None:
    masked = source(props, 0.9, mask=True, only_masked=only_masked)
    events = run(a_request(width=128 if only_masked else 64, source=masked), props)
    made, kept = picture(events), PHOTO.copy()
    assert made.size == (64, 64)
    assert difference(made, kept) > 1
    for one in (made, kept):
        one.paste("black", (16, 16, 48, 40))
    assert made.tobytes() == kept.tobytes()
    assert (rendered(events).width, rendered(events).height) == (64, 64)


def test_the_steps_are_the_tail_that_the_strength_says(props: Props) -> None:
    events = run(a_request(steps=10, source=source(props, 0.5)), props)
    steps = [event for event in events if isinstance(event, Step)]
    assert [(one.step, one.steps) for one in steps] == [(n, 6) for n in range(1, 7)]
    sampled = rendered(events).sampled
    assert sampled is not None
    assert sampled.steps == 6


def test_a_source_that_is_gone_ends_the_picture_and_not_the_engine(props: Props) -> None:
    given = source(props, 0.5)
    (folder_of(props.uploads) / given.upload).unlink()
    assert isinstance(run(a_request(source=given), props)[-1], Failed)


def test_a_checker_is_played_only_where_one_is_installed(props: Props) -> None:
    def told(*, checks: bool, safety: str, prompt: str) -> tuple[bool, bool]:
        last = rendered(run(a_request(safety=safety, prompt=prompt), props, checks=checks))
        assert last.sampled is not None
        black = Image.open(io.BytesIO(last.content)).getextrema() == ((0, 0),) * 3
        assert black == last.sampled.flagged
        return last.sampled.checked, last.sampled.flagged

    assert told(checks=True, safety="available", prompt="a cat") == (True, False)
    assert told(checks=True, safety="required", prompt="#unsafe") == (True, True)
    assert told(checks=True, safety="off", prompt="#unsafe") == (False, False)
    assert told(checks=False, safety="available", prompt="#unsafe") == (False, False)
    assert isinstance(run(a_request(safety="required"), props)[-1], Failed)


@pytest.mark.parametrize("blanking", ["blurred", "pixelated", "text"])
def test_what_may_not_be_shown_becomes_what_was_asked_for(checking_props: Props, blanking: Blanking) -> None:
    request = a_request(safety="required", prompt="#unsafe", blanking=blanking, width=96)
    made = rendered(run(request, checking_props))
    assert made.sampled is not None
    assert made.sampled.notices == (NOTICES[blanking],)
    shown = drawn(replace(request, safety="off"), checking_props)
    assert difference(picture([made]), blanked(shown, blanking)) == 0
