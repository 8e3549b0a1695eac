"""Encodings equal those of diffusers' pipelines; emphasis, chunks and clip skip change them as documented."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from diffusionapi.engine.prompts.cache import Encoded, EncodedCache
from diffusionapi.engine.prompts.chunks import CHUNK
from diffusionapi.engine.prompts.embeddings import Embeddings
from diffusionapi.engine.prompts.encode import PromptEncoder
from diffusionapi.errors import BadRequest
from tests.engine.prompts.conftest import Model

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

PROMPTS = [
    "",
    "a photograph of an astronaut riding a horse",
    "blurry, low quality, JPEG artefacts",
    "a clock at 12:30, 50% off | café & Ünïcödé 狐 🦊 \n second line",
    "fox " * 75,
]


def by_diffusers(model: Model, prompt: str, negative: str, skip: int | None) -> tuple[Encoded, Encoded]:
    pipeline = model.pipeline
    with torch.no_grad():
        if model.family in ("sd1", "sd2"):
            context, other = pipeline.encode_prompt(
                prompt, torch.device("cpu"), 1, True, negative, clip_skip=skip
            )
            return Encoded(context[0], None), Encoded(other[0], None)
        context, other, pooled, other_pooled = pipeline.encode_prompt(
            prompt, device=torch.device("cpu"), negative_prompt=negative, clip_skip=skip
        )
        return Encoded(context[0], pooled[0]), Encoded(other[0], other_pooled[0])


@pytest.fixture(autouse=True)
def _text_model_of_older_transformers(sd1: Model, sd2: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """diffusers' clip skip asks CLIPTextModel for a part that transformers has taken out of it."""
    for model in (sd1, sd2):
        encoder = model.pipeline.text_encoder
        monkeypatch.setitem(vars(encoder), "text_model", encoder)


def assert_same(found: Encoded, expected: Encoded, within: float = 1e-6) -> None:
    torch.testing.assert_close(found.context, expected.context, atol=within, rtol=0)
    assert (found.pooled is None) == (expected.pooled is None)
    if found.pooled is not None:
        torch.testing.assert_close(found.pooled, expected.pooled, atol=within, rtol=0)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_an_unweighted_prompt_encodes_as_diffusers_encodes_it(model: Model, prompt: str) -> None:
    encoder = PromptEncoder(model)
    positive, negative = by_diffusers(model, "a red fox in the snow", prompt, None)
    assert_same(encoder.encode("a red fox in the snow"), positive)
    assert_same(encoder.encode(prompt), negative)
    assert_same(encoder.encode(prompt), by_diffusers(model, prompt, "", None)[0])


@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_clip_skip_leaves_out_as_many_layers_as_diffusers_does(model: Model, left_out: int) -> None:
    own = 1 if model.family == "sd1" else 2
    expected, _ = by_diffusers(model, "a red fox", "", left_out)
    assert_same(PromptEncoder(model, own + left_out).encode("a red fox"), expected)


def test_without_clip_skip_each_family_has_its_own_layer(model: Model) -> None:
    usual = PromptEncoder(model).encode("a red fox")
    assert_same(PromptEncoder(model, 1).encode("a red fox"), usual, 0)
    same_at_two = torch.equal(PromptEncoder(model, 2).encode("a red fox").context, usual.context)
    assert same_at_two == (model.family != "sd1")


def test_clip_skip_beyond_the_layers_is_refused(model: Model) -> None:
    with pytest.raises(BadRequest, match="only 4 layers") as refused:
        PromptEncoder(model, 12)
    assert refused.value.field == "clip_skip"


def test_sdxl_joins_its_encoders_and_pools_the_second(sdxl: Model, refiner: Model) -> None:
    both, second = PromptEncoder(sdxl).encode("a red fox"), PromptEncoder(refiner).encode("a red fox")
    assert both.context.shape == (77, 32 + 64)
    assert second.context.shape == (77, 64)
    assert both.pooled is not None
    assert both.pooled.shape == (64,)
    with torch.no_grad():
        ids = sdxl.pipeline.tokenizer_2("a red fox", padding="max_length", return_tensors="pt").input_ids
        expected = sdxl.pipeline.text_encoder_2(ids, output_hidden_states=True)
    torch.testing.assert_close(both.context[:, 32:], expected.hidden_states[-2][0], atol=1e-6, rtol=0)
    torch.testing.assert_close(both.pooled, expected.text_embeds[0], atol=1e-6, rtol=0)


def test_each_chunk_encodes_as_if_it_were_alone(model: Model) -> None:
    encoder = PromptEncoder(model)
    texts = ["a red fox, " * 10, "an owl", "", "snow"]
    together = encoder.encode(" BREAK ".join(texts))
    assert together.context.shape[0] == 4 * CHUNK
    for place, text in enumerate(texts):
        alone = encoder.encode(text).context
        torch.testing.assert_close(
            together.context[place * CHUNK : (place + 1) * CHUNK], alone, atol=1e-5, rtol=0
        )


def test_a_very_long_prompt_is_encoded_in_parts_of_bounded_size(sd1: Model) -> None:
    context = PromptEncoder(sd1).encode("fox " * 75 * 11 + "red").context
    assert len(context) == 12 * CHUNK
    torch.testing.assert_close(context[:CHUNK], context[9 * CHUNK : 10 * CHUNK], atol=1e-5, rtol=0)
    torch.testing.assert_close(context[-CHUNK:], PromptEncoder(sd1).encode("red").context, atol=1e-5, rtol=0)


def test_the_pooled_vector_is_that_of_the_first_chunk(sdxl: Model) -> None:
    encoder = PromptEncoder(sdxl)
    first, both = encoder.encode("a red fox").pooled, encoder.encode("a red fox BREAK an owl").pooled
    assert first is not None
    torch.testing.assert_close(both, first, atol=1e-5, rtol=0)


def test_emphasis_scales_the_words_and_keeps_the_mean(model: Model) -> None:
    encoder = PromptEncoder(model)
    plain = encoder.encode("a red fox").context
    strong = encoder.encode("a (red:1.5) fox").context
    scales = torch.ones(CHUNK)
    scales[2] = 1.5
    first = model.text_encoders[0].config.hidden_size

    def parts(context: Tensor) -> list[Tensor]:
        return [one for one in (context[:, :first], context[:, first:]) if one.shape[1]]

    for part, found in zip(parts(plain), parts(strong), strict=True):
        scaled = part * scales[:, None]
        torch.testing.assert_close(found, scaled * (part.mean() / scaled.mean()), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found.mean(), part.mean(), atol=1e-6, rtol=1e-5)


def test_emphasis_in_one_chunk_leaves_the_others_alone(sd1: Model) -> None:
    encoder = PromptEncoder(sd1)
    plain = encoder.encode("a red fox BREAK an owl").context
    strong = encoder.encode("a (red:1.5) fox BREAK an owl").context
    assert not torch.allclose(plain[:CHUNK], strong[:CHUNK], atol=1e-3)
    assert torch.equal(plain[CHUNK:], strong[CHUNK:])


def test_brackets_whose_weights_come_to_one_change_nothing(model: Model) -> None:
    encoder = PromptEncoder(model)
    assert_same(encoder.encode("a (red:1.0) fox"), encoder.encode("a red fox"), 0)
    assert_same(encoder.encode("([a red fox])"), encoder.encode("a red fox"), 0)


def test_escaped_brackets_encode_as_brackets(model: Model) -> None:
    expected, _ = by_diffusers(model, "fox (red) [snow]", "", None)
    assert_same(PromptEncoder(model).encode(r"fox \(red\) \[snow\]"), expected)


@pytest.mark.parametrize("prompt", ["(fox:0)", "(fox:-1)", "(fox:1000)", "((((", "(" + "fox " * 75 + ":0)"])
def test_no_weight_makes_an_encoding_that_is_not_finite(model: Model, prompt: str) -> None:
    assert PromptEncoder(model).encode(prompt).context.isfinite().all()


def test_the_encoding_comes_in_the_models_type_whatever_the_encoders(sdxl: Model) -> None:
    half = Model("sdxl", sdxl.pipeline, torch.bfloat16)
    found = PromptEncoder(half).encode("a (red:1.2) fox")
    assert found.context.dtype == torch.bfloat16
    assert found.pooled is not None
    assert found.pooled.dtype == torch.bfloat16
    assert not found.context.requires_grad


@pytest.mark.gpu
def test_a_gpu_encodes_as_the_cpu_does(model: Model, tmp_path: Path) -> None:
    widths = [one.config.hidden_size for one in model.text_encoders]
    names = {1: ["emb_params"], 2: ["clip_l", "clip_g"]}[len(widths)]
    names = ["clip_g"] if model.family == "refiner" else names
    save_file(
        {name: torch.ones(2, width) for name, width in zip(names, widths, strict=True)},
        tmp_path / "style.safetensors",
    )
    on_gpu = Model(model.family, deepcopy(model.pipeline).to("cuda"))
    for prompt in (*PROMPTS, "a (red:1.3) fox in style BREAK snow"):
        expected = PromptEncoder(model, embeddings=Embeddings(tmp_path)).encode(prompt)
        found = PromptEncoder(on_gpu, embeddings=Embeddings(tmp_path)).encode(prompt)
        assert found.context.is_cuda
        pooled = None if found.pooled is None else found.pooled.cpu()
        assert_same(Encoded(found.context.cpu(), pooled), expected, 1e-4)


def test_a_prompt_is_encoded_once(sd1: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    forward = sd1.pipeline.text_encoder.forward

    def counted(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        return forward(*arguments, **named)

    monkeypatch.setattr(sd1.pipeline.text_encoder, "forward", counted)
    cache = EncodedCache()
    first = PromptEncoder(sd1, cache=cache).encode("a fox")
    assert PromptEncoder(sd1, cache=cache).encode("a fox") is first
    assert calls == 1
    PromptEncoder(sd1, cache=cache).encode("an owl")
    PromptEncoder(sd1, 2, cache=cache).encode("a fox")
    PromptEncoder(sd1, cache=cache, adapters=(("paper", 0.8),)).encode("a fox")
    assert calls == 4


def test_another_model_has_encodings_of_its_own(sd1: Model, sd2: Model) -> None:
    cache = EncodedCache()
    first = PromptEncoder(sd1, cache=cache).encode("a fox")
    assert PromptEncoder(sd2, cache=cache).encode("a fox") is not first
    assert PromptEncoder(sd1, cache=cache).encode("a fox") is first
