"""The prompts of a picture step by step, brought to one length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from diffusionapi.engine.prompts.chunks import CHUNK
from diffusionapi.engine.prompts.encode import PromptEncoder
from diffusionapi.engine.prompts.plan import Conditioning

if TYPE_CHECKING:
    from torch import Tensor

    from tests.engine.prompts.conftest import Model

LONG = "fox " * 80


@pytest.fixture
def encoder(sd1: Model) -> PromptEncoder:
    return PromptEncoder(sd1)


def contexts(conditioning: Conditioning, steps: int) -> list[Tensor]:
    return [conditioning.positive(step)[0][0].context for step in range(1, steps + 1)]


def test_a_plain_prompt_is_the_same_at_every_step(encoder: PromptEncoder) -> None:
    conditioning = Conditioning(encoder, "a fox", "blurry", 5)
    for step in range(1, 6):
        assert conditioning.positive(step) == [(encoder.encode("a fox"), 1.0)]
        assert conditioning.negative(step) is encoder.encode("blurry")


def test_each_step_gets_the_text_it_was_given(encoder: PromptEncoder) -> None:
    conditioning = Conditioning(encoder, "a [fox:owl:2]", "[blurry|dark]", 5)
    fox, owl = encoder.encode("a fox"), encoder.encode("a owl")
    assert [conditioning.positive(step)[0][0] for step in range(1, 6)] == [fox, fox, owl, owl, owl]
    blurry, dark = encoder.encode("blurry"), encoder.encode("dark")
    assert [conditioning.negative(step) for step in range(1, 6)] == [blurry, dark, blurry, dark, blurry]


def test_steps_before_the_first_and_after_the_last_are_those(encoder: PromptEncoder) -> None:
    conditioning = Conditioning(encoder, "[fox:owl:2]", "", 5)
    assert conditioning.positive(0) == conditioning.positive(1)
    assert conditioning.positive(99) == conditioning.positive(5)


def test_and_gives_several_prompts_with_their_weights(encoder: PromptEncoder) -> None:
    conditioning = Conditioning(encoder, "a fox AND [owl:bear:2] :0.5 AND snow", "a AND b", 5)
    first, second, third = conditioning.positive(1)
    assert [weight for _, weight in conditioning.positive(1)] == [1.0, 0.5, 1.0]
    assert [first[0], second[0], third[0]] == [encoder.encode(one) for one in ("a fox", "owl", "snow")]
    assert conditioning.positive(3)[1][0] is encoder.encode("bear")
    assert conditioning.negative(1) is encoder.encode("a AND b")


def test_shorter_contexts_are_repeated(encoder: PromptEncoder) -> None:
    conditioning = Conditioning(encoder, LONG * 2, "blurry", 5)
    blurry = encoder.encode("blurry").context
    assert conditioning.positive(1)[0][0] is encoder.encode(LONG * 2)
    assert torch.equal(conditioning.negative(1).context, torch.cat([blurry, blurry, blurry]))


def test_a_repeated_context_means_to_attention_what_it_meant_alone(encoder: PromptEncoder) -> None:
    alone = encoder.encode("blurry").context.float()
    query = torch.randn(10, alone.shape[-1], generator=torch.Generator().manual_seed(1))
    attended, again = (
        torch.nn.functional.scaled_dot_product_attention(query, one, one)
        for one in (alone, alone.repeat(3, 1))
    )
    assert torch.allclose(attended, again, atol=1e-6)


def test_a_long_negative_prompt_lengthens_the_positive_one(encoder: PromptEncoder) -> None:
    conditioning = Conditioning(encoder, "a fox", LONG, 5)
    expected = torch.cat([encoder.encode("a fox").context] * 2)
    assert torch.equal(conditioning.positive(1)[0][0].context, expected)


def test_a_picture_has_one_length_at_all_its_steps_and_prompts(encoder: PromptEncoder) -> None:
    conditioning = Conditioning(encoder, f"[fox:{LONG}:2] AND owl AND [a|b BREAK c BREAK d]", "", 6)
    lengths = {
        len(one.context)
        for step in range(1, 7)
        for one in (*(part for part, _ in conditioning.positive(step)), conditioning.negative(step))
    }
    assert lengths == {6 * CHUNK}  # the least that 1, 2 and 3 chunks all go into


def test_a_padded_encoding_is_made_once_for_all_its_steps(encoder: PromptEncoder) -> None:
    conditioning = Conditioning(encoder, "[a|b]", LONG, 6)
    assert len({id(one) for one in contexts(conditioning, 6)}) == 2


def test_sdxl_without_a_negative_prompt_gets_zeros_as_in_diffusers(sdxl: Model) -> None:
    with torch.no_grad():
        _, negative, _, pooled = sdxl.pipeline.encode_prompt("a fox", device=torch.device("cpu"))
    found = Conditioning(PromptEncoder(sdxl), "a fox", " ", 5).negative(1)
    assert torch.equal(found.context, negative[0])
    assert found.pooled is not None
    assert torch.equal(found.pooled, pooled[0])
    longer = Conditioning(PromptEncoder(sdxl), LONG, "", 5).negative(1).context
    assert torch.equal(longer, torch.zeros(2 * CHUNK, 96))


@pytest.mark.parametrize("family", ["sd1", "sd2", "refiner"])
def test_the_other_families_get_the_encoding_of_nothing(family: str, request: pytest.FixtureRequest) -> None:
    encoder = PromptEncoder(request.getfixturevalue(family))
    found = Conditioning(encoder, "a fox", "", 5).negative(1)
    assert found is encoder.encode("")
    assert found.context.any()


def test_a_padded_sdxl_prompt_keeps_its_pooled_vector(sdxl: Model) -> None:
    encoder = PromptEncoder(sdxl)
    found = Conditioning(encoder, "a fox", LONG, 5).positive(1)[0][0]
    assert len(found.context) == 2 * CHUNK
    assert found.pooled is encoder.encode("a fox").pooled


def test_the_second_pass_goes_on_where_the_first_ended(encoder: PromptEncoder) -> None:
    prompt = "[[fox:owl:0.5]:bear:1.5]"
    first, second = (Conditioning(encoder, prompt, "", 4, first_pass) for first_pass in (None, 20))
    fox, owl, bear = (encoder.encode(one).context for one in ("fox", "owl", "bear"))
    for found, expected in (
        (contexts(first, 4), [fox, fox, owl, owl]),
        (contexts(second, 4), [owl, owl, bear, bear]),
    ):
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
