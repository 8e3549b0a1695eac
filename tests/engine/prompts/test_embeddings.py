"""Textual inversions of every layout stand in prompts under their file's name."""

from __future__ import annotations

import os
import pickle
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file

from diffusionapi.engine.prompts.cache import EncodedCache
from diffusionapi.engine.prompts.embeddings import Embeddings
from diffusionapi.engine.prompts.encode import PromptEncoder
from diffusionapi.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from tests.engine.prompts.conftest import Model


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def save(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    return path


def by_new_tokens(model: Model, text: str, vectors: list[Tensor]) -> Tensor:
    """The context with a token added to the vocabulary for each vector, as diffusers does it."""
    contexts = []
    for encoder, tokenizer, rows in zip(model.text_encoders, model.tokenizers, vectors, strict=True):
        tokenizer, encoder = deepcopy(tokenizer), deepcopy(encoder)
        words = [f"<new{number}>" for number in range(len(rows))]
        tokenizer.add_tokens(words)
        encoder.resize_token_embeddings(len(tokenizer))
        encoder.config.eos_token_id = (getattr(encoder, "text_model", encoder)).eos_token_id = 49407
        with torch.no_grad():
            encoder.get_input_embeddings().weight[-len(rows) :] = rows
            ids = tokenizer(
                text.format("".join(words)), padding="max_length", max_length=77, return_tensors="pt"
            ).input_ids
            output = encoder(ids, output_hidden_states=True)
        xl = model.family in ("sdxl", "refiner")
        contexts.append(output.hidden_states[-2] if xl else output.last_hidden_state)
    return torch.cat(contexts, -1)[0]


LAYOUTS: dict[str, Any] = {
    "style.safetensors": {"emb_params": random(3, 32)},
    "style.pt": {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": random(3, 32)},
        "name": "style",
        "step": 5000,
        "sd_checkpoint": None,
        "sd_checkpoint_name": None,
    },
    "style.bin": {"<style>": random(3, 32)},
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_of_a_file_gives_the_same_vectors(name: str, sd1: Model, tmp_path: Path) -> None:
    save(tmp_path, name, LAYOUTS[name])
    found = PromptEncoder(sd1, embeddings=Embeddings(tmp_path)).encode("a fox in style, snow").context
    expected = by_new_tokens(sd1, "a fox in {}, snow", [random(3, 32)])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("torch_of_2022", [False, True])
def test_an_old_file_with_torch_parameters_is_read(torch_of_2022: bool, sd1: Model, tmp_path: Path) -> None:
    parameters = torch.nn.ParameterDict({"*": torch.nn.Parameter(random(2, 32))})
    if torch_of_2022:
        del vars(parameters)["_keys"]
    save(tmp_path, "style.pt", {"string_to_param": parameters})
    found = PromptEncoder(sd1, embeddings=Embeddings(tmp_path)).encode("style").context
    torch.testing.assert_close(found, by_new_tokens(sd1, "{}", [random(2, 32)]), atol=1e-6, rtol=0)
    assert not found.requires_grad


def test_a_single_vector_needs_no_second_dimension(sd2: Model, tmp_path: Path) -> None:
    save(tmp_path, "style.bin", {"<style>": random(64)})
    found = PromptEncoder(sd2, embeddings=Embeddings(tmp_path)).encode("a style").context
    torch.testing.assert_close(found, by_new_tokens(sd2, "a {}", [random(1, 64)]), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("first", "second"), [("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1")])
def test_sdxl_takes_a_file_with_vectors_for_both_encoders(
    first: str, second: str, sdxl: Model, refiner: Model, tmp_path: Path
) -> None:
    small, large = random(2, 32), random(2, 64, seed=1)
    save(tmp_path, "style.safetensors", {first: small, second: large})
    embeddings = Embeddings(tmp_path)
    for model, vectors in ((sdxl, [small, large]), (refiner, [large])):
        found = PromptEncoder(model, embeddings=embeddings).encode("a fox, style").context
        torch.testing.assert_close(found, by_new_tokens(model, "a fox, {}", vectors), atol=1e-6, rtol=0)


def test_an_embedding_for_another_family_is_a_word(
    sd1: Model, sd2: Model, sdxl: Model, tmp_path: Path
) -> None:
    save(tmp_path, "one.safetensors", {"emb_params": random(2, 32)})
    save(tmp_path, "two.safetensors", {"clip_l": random(2, 32), "clip_g": random(2, 64)})
    for model, own in ((sd1, "one"), (sd2, ""), (sdxl, "two")):
        for name in ("one", "two"):
            plain = PromptEncoder(model).encode(f"a {name}").context
            found = PromptEncoder(model, embeddings=Embeddings(tmp_path)).encode(f"a {name}").context
            assert torch.equal(found, plain) == (name != own)


def test_names_are_found_without_regard_to_case_and_signs(sd1: Model, tmp_path: Path) -> None:
    save(tmp_path, "Bad-Hands_5.safetensors", {"emb_params": random(2, 32)})
    encoder = PromptEncoder(sd1, embeddings=Embeddings(tmp_path))
    expected = encoder.encode("fox, Bad-Hands_5, snow").context
    assert torch.equal(encoder.encode("fox, bad-hands_5, snow").context, expected)
    assert not torch.equal(PromptEncoder(sd1).encode("fox, bad-hands_5, snow").context, expected)
    weighted = encoder.encode("fox, (bad-hands_5:1.3), snow").context
    assert not torch.equal(weighted, expected)
    assert torch.equal(encoder.encode("bad-hands").context, PromptEncoder(sd1).encode("bad-hands").context)


def test_embeddings_lie_in_folders_too_and_other_files_do_not_count(tmp_path: Path) -> None:
    save(tmp_path, "people/style.pt", {"emb_params": random(2, 32)})
    (tmp_path / "notes.txt").write_text("style")
    (tmp_path / "fox.preview.png").write_bytes(b"")
    mentioned = Embeddings(tmp_path).mentioned("a fox in STYLE notes")
    assert [one.name for one in mentioned] == ["style"]


def test_without_a_folder_there_are_none(tmp_path: Path) -> None:
    assert Embeddings().mentioned("style") == []
    assert Embeddings(tmp_path / "missing").mentioned("style") == []


def test_a_file_that_changed_is_read_again(sd1: Model, tmp_path: Path) -> None:
    cache, embeddings = EncodedCache(), Embeddings(tmp_path)
    path = save(tmp_path, "style.safetensors", {"emb_params": random(2, 32)})
    first = PromptEncoder(sd1, embeddings=embeddings, cache=cache).encode("style")
    assert PromptEncoder(sd1, embeddings=embeddings, cache=cache).encode("style") is first
    save(tmp_path, "style.safetensors", {"emb_params": random(2, 32, seed=1)})
    os.utime(path, ns=(1, 1))
    second = PromptEncoder(sd1, embeddings=embeddings, cache=cache).encode("style")
    assert not torch.equal(first.context, second.context)


def test_the_model_is_as_before_when_a_prompt_with_an_embedding_is_done(sd1: Model, tmp_path: Path) -> None:
    before = PromptEncoder(sd1).encode("style").context
    save(tmp_path, "style.safetensors", {"emb_params": random(2, 32)})
    PromptEncoder(sd1, embeddings=Embeddings(tmp_path)).encode("style")
    assert torch.equal(PromptEncoder(sd1).encode("style").context, before)
    assert len(sd1.pipeline.tokenizer) == 49408


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("the code of a file ran",))


def test_no_code_in_a_pickled_file_runs(
    sd1: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, "style.pt", {"string_to_param": {"*": random(2, 32)}, "name": Malicious()})
    with pytest.raises(Misconfigured, match=r"style\.pt cannot be read"):
        PromptEncoder(sd1, embeddings=Embeddings(tmp_path)).encode("style")
    assert "ran" not in capsys.readouterr().out


BROKEN: dict[str, bytes] = {
    "style.safetensors": b"half a file",
    "style.pt": b"",
    "style.bin": pickle.dumps({"string_to_param": 1}, protocol=2),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_when_it_is_used(name: str, sd1: Model, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(BROKEN[name])
    encoder = PromptEncoder(sd1, embeddings=Embeddings(tmp_path))
    encoder.encode("a fox")
    with pytest.raises(Misconfigured, match=name):
        encoder.encode("a style")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"a": random(2, 32), "b": random(2, 32)}, "holds no textual inversion"),
        ({"emb_params": random(76, 32)}, "1 to 75 vectors"),
        ({"emb_params": random(2, 2, 32)}, "1 to 75 vectors"),
        ({"clip_l": random(2, 32), "clip_g": random(3, 64)}, "1 to 75 vectors"),
    ],
)
def test_a_file_of_something_else_is_named_with_the_problem(
    content: dict[str, Tensor], problem: str, sd1: Model, tmp_path: Path
) -> None:
    save(tmp_path, "style.safetensors", content)
    with pytest.raises(Misconfigured, match=problem) as refused:
        PromptEncoder(sd1, embeddings=Embeddings(tmp_path)).encode("a style")
    assert "style.safetensors" in refused.value.sentence
