"""Texts to English, as transformers itself translates them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import safetensors.torch
import torch
from transformers import AutoModelForSeq2SeqLM, MarianTokenizer, MBart50TokenizerFast

from diffusionapi.catalog.translators import Translator, find
from diffusionapi.engine.translation.model import load
from diffusionapi.errors import BrokenModel
from tests.engine.translation import miniatures

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")

GERMAN = "eine schwarze Katze auf dem Dach"
FRENCH = "le chat noir sur le toit"
BEAMS = {"num_beams": 5, "do_sample": False, "early_stopping": True}


@pytest.fixture(scope="module")
def translators(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Translator]:
    root = tmp_path_factory.mktemp("translators")
    miniatures.make_marian(root / "opus-mt-de-en")
    miniatures.make_mbart(root / "mbart-large-50-many-to-one-mmt")
    return {one.kind: one for one in find(root)}


def without_full_stop(text: str) -> str:
    return text.strip().removesuffix(".")


def test_marians_models_translate_as_transformers_does(translators: dict[str, Translator]) -> None:
    path = translators["marian"].path
    network = AutoModelForSeq2SeqLM.from_pretrained(path).eval()
    tokenizer = MarianTokenizer.from_pretrained(path)
    tokens = tokenizer(GERMAN, return_tensors="pt")
    length = 2 * tokens["input_ids"].shape[1] + 20
    wanted = tokenizer.decode(
        network.generate(**tokens, **BEAMS, max_length=None, max_new_tokens=length)[0],
        skip_special_tokens=True,
    )
    model = load(translators["marian"])
    assert model.english(GERMAN, "de") == without_full_stop(wanted) != ""
    assert model.english(GERMAN, "de") == model.english(GERMAN, "de")


@pytest.mark.parametrize(("text", "language", "code"), [(GERMAN, "de", "de_DE"), (FRENCH, "fr", "fr_XX")])
def test_mbart_is_told_both_languages(
    translators: dict[str, Translator], text: str, language: str, code: str
) -> None:
    path = translators["mbart"].path
    network = AutoModelForSeq2SeqLM.from_pretrained(path).eval()
    tokenizer = MBart50TokenizerFast.from_pretrained(path, src_lang=code)
    tokens = tokenizer(text, return_tensors="pt")
    english = tokenizer.lang_code_to_id["en_XX"]
    length = 2 * tokens["input_ids"].shape[1] + 20
    written = network.generate(
        **tokens, **BEAMS, forced_bos_token_id=english, max_length=None, max_new_tokens=length
    )
    wanted = tokenizer.decode(written[0], skip_special_tokens=True)
    assert load(translators["mbart"]).english(text, language) == without_full_stop(wanted) != ""


def test_nothing_of_a_long_text_is_cut_off(translators: dict[str, Translator]) -> None:
    """In pieces that the model can take, which together are the text."""
    model = load(translators["marian"])
    for text in (", ".join([GERMAN] * 40), " ".join([GERMAN] * 40), GERMAN.replace(" ", "") * 40):
        parts = list(model._parts(text))  # noqa: SLF001 - what the model is given
        assert len(parts) > 1
        assert "".join(parts).replace(" ", "") == text.replace(" ", "")
        assert all(len(model.tokenizer(part)["input_ids"]) <= 200 for part in parts)


def test_broken_files_are_named(tmp_path: Path) -> None:
    folder = miniatures.make_marian(tmp_path / "opus-mt-de-en")
    [translator] = find(tmp_path)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BrokenModel, match="opus-mt-de-en cannot be used"):
        load(translator)
    weights.write_bytes(without_a_layer(whole))
    with pytest.raises(BrokenModel, match="tensors are missing"):
        load(translator)
    weights.write_bytes(whole)
    (folder / "source.spm").unlink()
    with pytest.raises(BrokenModel, match="opus-mt-de-en cannot be used"):
        load(translator)


def without_a_layer(content: bytes) -> bytes:
    state = safetensors.torch.load(content)
    kept = {name: one for name, one in state.items() if "encoder.layers.0.fc1" not in name}
    return safetensors.torch.save(kept, {"format": "pt"})


def test_weights_in_a_pickle_are_read_and_its_code_is_not(tmp_path: Path) -> None:
    folder = miniatures.make_marian(tmp_path / "opus-mt-de-en")
    [translator] = find(tmp_path)
    wanted = load(translator).english(GERMAN, "de")
    network = AutoModelForSeq2SeqLM.from_pretrained(folder)
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert load(translator).english(GERMAN, "de") == wanted
    torch.save({"model.shared.weight": print}, folder / "pytorch_model.bin")
    with pytest.raises(BrokenModel):
        load(translator)
