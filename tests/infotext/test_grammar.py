from __future__ import annotations

import itertools
import json
from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusionapi import __version__
from diffusionapi.core.request import (
    Control,
    GenerationRequest,
    Hires,
    Lora,
    Mask,
    Refiner,
    Source,
    Upscale,
)
from diffusionapi.core.sampling import SAMPLERS, SCHEDULES, Sampling, resolve
from diffusionapi.errors import BadRequest
from diffusionapi.infotext.grammar import Facts, parameters, read, write
from tests.factories import a_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.core.request import Resize

RICH = a_request(
    prompt="a lighthouse, (storm:1.2)\nby night",
    negative_prompt="blurry, low quality",
    model="v1-5-pruned-emaonly",
    width=512,
    height=768,
    steps=25,
    guidance=6.5,
    sampler="DPM++ 2M",
    schedule="karras",
    seed=123456789,
    clip_skip=2,
    loras=(Lora("add_detail", 0.8, 0.8), Lora("waves", 1.0, 0.5)),
    hires=Hires(2.0, "Latent (nearest-exact)", 10, 0.55),
    refiner=Refiner("sd_xl_refiner_1.0", 0.8),
    vae="vae-ft-mse-840000-ema-pruned",
)


def again(text: str, request: GenerationRequest) -> GenerationRequest:
    """The request that the text gives; the file says what kind of file it is."""
    return GenerationRequest(file_type=request.file_type, quality=request.quality, **read(text))


def test_a_text_with_everything_is_laid_out_as_a1111_lays_it_out() -> None:
    loras = {"add_detail": "7c6bad76eb54", "waves": "0123456789ab"}
    facts = Facts("6ce0161689", "7440042bbd", loras, "735e4c3a44")
    assert write(RICH, facts) == (
        "a lighthouse, (storm:1.2)\n"
        "by night <lora:add_detail:0.8> <lora:waves:0.5:1>\n"
        "Negative prompt: blurry, low quality\n"
        "Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 123456789, "
        "Size: 512x768, Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, VAE hash: 735e4c3a44, "
        "VAE: vae-ft-mse-840000-ema-pruned, Denoising strength: 0.55, Clip skip: 2, RNG: CPU, "
        "Hires upscale: 2, Hires steps: 10, Hires upscaler: Latent (nearest-exact), "
        "Refiner: sd_xl_refiner_1.0 [7440042bbd], Refiner switch at: 0.8, "
        f'Lora hashes: "add_detail: 7c6bad76eb54, waves: 0123456789ab", Version: diffusionapi {__version__}'
    )
    assert again(write(RICH, facts), RICH) == RICH


def test_a_plain_text_leaves_out_what_was_not_used() -> None:
    text = write(a_request(prompt="a cat", guidance=7.0), Facts())
    assert text == (
        "a cat\nSteps: 4, Sampler: Euler, Schedule type: Karras, CFG scale: 7, Seed: 7, Size: 64x64, "
        f"Model: fake, RNG: CPU, Version: diffusionapi {__version__}"
    )


INPAINTED = Source(
    "upload.png", 0.6, "crop", Mask("mask.png", 4.0, True, "noise", only_masked=True, padding=32)
)


def test_a_text_says_how_the_picture_it_began_with_was_used_and_not_which_it_was() -> None:
    request = a_request(source=INPAINTED)
    text = write(request, Facts())
    assert (
        "Denoising strength: 0.6, RNG: CPU, Mask blur: 4, Mask mode: Inpaint not masked, "
        "Masked content: latent noise, Inpaint area: Only masked, Masked area padding: 32, Version: "
    ) in text
    assert ".png" not in text
    assert again(text, request) == a_request()


@pytest.mark.parametrize(
    ("resize", "mode"), [("crop", "Crop and resize"), ("fill", "Resize and fill"), ("stretch", None)]
)
def test_a_text_says_how_the_picture_it_began_with_was_resized(resize: Resize, mode: str | None) -> None:
    text = write(a_request(source=Source("upload.png", 0.6, resize, None)), Facts())
    assert parameters(text).get("Resize mode") == mode


def test_where_only_the_masked_part_was_painted_nothing_was_resized() -> None:
    assert "Resize mode" not in write(a_request(source=INPAINTED), Facts())
    whole = replace(INPAINTED.mask, only_masked=False) if INPAINTED.mask else None
    assert "RNG: CPU, Resize mode: Crop and resize, Mask blur: 4, " in write(
        a_request(source=replace(INPAINTED, mask=whole)), Facts()
    )


def test_a_mask_as_nobody_chose_it_is_not_spoken_of() -> None:
    mask = Mask("mask.png", 0.0, False, "original", only_masked=False, padding=32)
    text = write(a_request(source=Source("upload.png", 0.75, "stretch", mask)), Facts())
    assert "mask" not in text.casefold()
    assert "Inpaint" not in text


def test_what_has_no_word_of_a1111s_comes_back_too() -> None:
    request = a_request(
        self_attention=0.75,
        tiling="horizontal",
        upscale=Upscale("ESRGAN_4x", 2.0, faces=True),
        translate=True,
    )
    assert again(write(request, Facts()), request) == request


def test_a_text_says_how_control_nets_acted_in_the_words_of_a1111s_extension() -> None:
    first = Control("control_v11p_sd15_canny", "upload.png", "canny", 0.8, 0.0, 0.75, guess=False)
    second = Control("depth", "upload.png", "none", 1.0, 0.0, 1.0, guess=True)
    text = write(a_request(controls=(first, second)), Facts())
    assert ".png" not in text
    told = parameters(text)
    assert told["ControlNet 0"] == (
        "Module: canny, Model: control_v11p_sd15_canny, Weight: 0.8, Guidance Start: 0, "
        "Guidance End: 0.75, Control Mode: Balanced"
    )
    assert str(told["ControlNet 1"]).endswith("Control Mode: ControlNet is more important")
    assert again(text, a_request()) == a_request()


def test_a_tile_is_told_as_a1111_tells_it_and_a_panorama_in_our_own_words() -> None:
    tile, panorama = (write(a_request(tiling=axes), Facts()) for axes in ("both", "horizontal"))
    assert "Tiling: True" in tile
    assert "Exact" not in tile
    assert "Tiling: True" not in panorama
    assert (read(tile)["tiling"], read(panorama)["tiling"]) == ("both", "horizontal")
    assert "tiling" not in read(write(a_request(), Facts()))


def goes_together() -> Iterator[Sampling]:
    for sampler, schedule in itertools.product(SAMPLERS, SCHEDULES):
        with suppress(BadRequest):
            yield resolve(sampler, schedule, 20, sampler_field="", schedule_field="")


@pytest.mark.parametrize("chosen", sorted(set(goes_together()), key=str), ids=str)
def test_every_sampler_and_schedule_comes_back(chosen: Sampling) -> None:
    request = a_request(sampler=chosen.sampler, schedule=chosen.schedule)
    text = write(request, Facts())
    assert "Exact" not in text
    assert again(text, request) == request


@pytest.mark.parametrize(
    "prompt",
    [
        "two\nlines",
        "Steps: 20, Sampler: Euler, CFG scale: 7",
        "a cat\nSteps: 99, Sampler: LMS, CFG scale: 1, Seed: 3, Size: 8x8",
        "a cat\nNegative prompt: a dog",
        'say "hello, world": {"a": [1, 2]}',
        "back\\slash, \\n \\u0041",
        " blanks around  ",
        "\n\nempty lines\n\n",
        "a cat <lora:typed:0.5>",
        "<lora:typed:0.5>",
        "a cat <lora:not a number:x>",
        "雨の灯台, ünïcode 🦊",
        "windows\r\nline",
        "",
    ],
)
def test_prompts_that_look_like_something_else_come_back(prompt: str) -> None:
    for loras in ((), (Lora("waves", 0.5, 0.5),)):
        request = a_request(prompt=prompt, negative_prompt=prompt, loras=loras)
        assert again(write(request, Facts()), request) == request


FRAGMENTS = [
    *("a cat", "\n", ", ", ": ", '"', "\\", " ", "{", "}", "\u2028", "\r", "🦊"),
    *("Negative prompt:", "Steps: 20", "Size: 8x8", "Seed: 1, Model: b", "Exact", "Lora tags added: 1"),
    *("<lora:a:1>", "[0123456789]"),
]
TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.lists(
        st.sampled_from(FRAGMENTS),
        max_size=12,
    ).map("".join),
)
NUMBER = st.floats(-1e6, 1e6, allow_nan=False)
REQUESTS = st.builds(
    GenerationRequest,
    prompt=TEXT,
    negative_prompt=TEXT,
    model=TEXT,
    width=st.integers(8, 2**14),
    height=st.integers(8, 2**14),
    steps=st.integers(1, 1000),
    guidance=NUMBER,
    sampler=st.one_of(st.sampled_from(SAMPLERS), TEXT),
    schedule=st.one_of(st.sampled_from(["default", "karras", "exponential", "ddim", "own"]), TEXT),
    seed=st.integers(0, 2**32 - 1),
    file_type=st.just("png"),
    quality=st.just(85),
    clip_skip=st.none() | st.integers(1, 12),
    loras=st.lists(st.builds(Lora, TEXT, NUMBER, NUMBER), max_size=3).map(tuple),
    hires=st.none() | st.builds(Hires, NUMBER, TEXT, st.integers(1, 1000), NUMBER),
    refiner=st.none() | st.builds(Refiner, TEXT, NUMBER),
)


@settings(max_examples=400, deadline=None)
@given(
    REQUESTS,
    st.builds(
        Facts,
        model_hash=st.none() | st.just("0123456789"),
        refiner_hash=st.none() | st.just("abcdef0123"),
        lora_hashes=st.dictionaries(TEXT, st.just("0123456789ab"), max_size=2),
    ),
)
def test_reading_back_gives_the_same_request(request: GenerationRequest, facts: Facts) -> None:
    text = write(request, facts)
    assert again(text, request) == request
    assert len(text.rpartition("\n")[2].split(": ")) > 3


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_any_text_can_be_read(text: str) -> None:
    found = read(text)
    assert set(found) <= {one.name for one in fields(GenerationRequest)}


WRITTEN_BY_A1111: list[tuple[str, dict[str, Any]]] = [
    (
        (
            "masterpiece, a fox\n"
            "Negative prompt: bad hands\n"
            "Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 965400086, Size: 512x512, "
            "Model hash: 45dee52b, Model: deliberate_v2, Clip skip: 2, ENSD: 31337"
        ),
        {"sampler": "DPM++ 2M Karras", "schedule": "karras", "model": "deliberate_v2", "clip_skip": 2},
    ),
    (
        (
            "a fox <lora:add_detail:0.7>\n"
            "Steps: 30, Sampler: DPM++ 2M, Schedule type: Automatic, CFG scale: 5.5, Seed: 1, "
            "Size: 832x1216, Denoising strength: 0.3, Hires upscale: 1.5, Hires upscaler: 4x-UltraSharp, "
            'Lora hashes: "add_detail: 7c6bad76eb54", Version: v1.10.1'
        ),
        {
            "prompt": "a fox",
            "sampler": "DPM++ 2M",
            "schedule": "karras",
            "loras": (Lora("add_detail", 0.7, 0.7),),
            "hires": Hires(1.5, "4x-UltraSharp", 30, 0.3),
            "width": 832,
            "height": 1216,
        },
    ),
    (
        "Steps: 20, Sampler: DPM2 Karras, CFG scale: 7, Seed: 1, Size: 512x512",
        {"prompt": "", "sampler": "DPM2", "schedule": "karras"},
    ),
    (
        "a\nSteps: 20, Sampler: DPM2 a Karras, CFG scale: 7, Seed: 1, Size: 512x512",
        {"sampler": "DPM2 a", "schedule": "karras"},
    ),
    (
        "a\nSteps: 20, Sampler: DPM++ 2M SDE, Schedule type: Automatic, Seed: 1, Version: v1.10.1",
        {"sampler": "DPM++ 2M SDE", "schedule": "exponential"},
    ),
    (
        "a\nSteps: 4, Sampler: LCM, Schedule type: Automatic, CFG scale: 1.5, Seed: 1, Version: v1.10.1",
        {"sampler": "LCM", "schedule": "own"},
    ),
    (
        "a\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 512x512, Version: v1.6.0",
        {"sampler": "Euler", "schedule": "default", "hires": None, "refiner": None, "loras": ()},
    ),
    (
        "a\nSteps: 20, Sampler: DPM++ 3M SDE, Schedule type: Polyexponential, Seed: 1",
        {"sampler": "DPM++ 3M SDE", "schedule": "polyexponential"},
    ),
    (
        (
            "a\nSteps: 20, Sampler: DDIM, Schedule type: Karras, Seed: 1, Refiner: xl_refiner [7440042bbd], "
            "Refiner switch at: 0.75"
        ),
        {"sampler": "DDIM", "schedule": "own", "refiner": Refiner("xl_refiner", 0.75)},
    ),
    ("only words, and: two pairs, here: yes", {"prompt": "only words, and: two pairs, here: yes"}),
]


@pytest.mark.parametrize(("text", "expected"), WRITTEN_BY_A1111)
def test_texts_of_a1111_are_understood(text: str, expected: dict[str, Any]) -> None:
    found = read(text)
    assert {name: found.get(name) for name in expected} == expected


def test_values_that_make_no_sense_are_left_out() -> None:
    found = read("a\nSteps: many, Sampler: Euler, Size: large, Seed: 5, Hires upscale: big, Refiner: r")
    assert "steps" not in found
    assert "width" not in found
    assert (found["seed"], found["hires"], found["refiner"]) == (5, None, None)


@pytest.mark.parametrize("exact", ["[1]", "null", '{"loras": [1]}', '{"hires": {"x": 1}}', "{", '{"odd": 1}'])
def test_a_damaged_exact_part_is_no_reason_to_fail(exact: str) -> None:
    found = read(f"a cat\nSteps: 3, Seed: 5, Size: 8x8, Exact: {json.dumps(exact)}")
    assert found["prompt"] == "a cat"
    assert "odd" not in found


def test_model_names_with_commas_and_colons_are_quoted_as_json() -> None:
    text = write(a_request(model="a, b: c"), Facts())
    assert 'Model: "a, b: c", ' in text
