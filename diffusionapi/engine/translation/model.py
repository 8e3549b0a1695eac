"""A model that translates texts to English: mBART-50 or one of Marian's, by transformers, on the CPU."""

from __future__ import annotations

import pickle
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from diffusionapi.engine.models import building
from diffusionapi.errors import BrokenModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.catalog.translators import Translator

_BEAMS = 5
_MOST_TOKENS = 200
"""Of a text at a time: both kinds were trained on sentences, and lose the thread long before their limit."""
_CUTS = (
    re.compile(r".*?(?:[.!?;,\u3002\uff0c\u3001\uff1b]\s*|\Z)", re.DOTALL),
    re.compile(r"\S*(?:\s+|\Z)"),
    re.compile(r".{1,60}", re.DOTALL),
)
"""Where a long text is cut: where it pauses, else between words, else, as in Chinese, anywhere."""
_ENGLISH = "en_XX"
_DAMAGE = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    RuntimeError,
    AttributeError,
    pickle.UnpicklingError,
    SafetensorError,
)
"""What transformers raises at files that are missing, cut short or of something else."""
_MADE = ("embed_positions.weight", "final_logits_bias")
"""Tensors that follow from the configuration where a file has none of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    kind: str
    network: Any
    tokenizer: Any

    @torch.inference_mode()
    def english(self, text: str, language: str) -> str:
        """By beam search, without dice: the same text gives the same words."""
        options: dict[str, Any] = {}
        if self.kind == "mbart":
            self.tokenizer.src_lang = _code(self.tokenizer, language)
            options["forced_bos_token_id"] = self.tokenizer.convert_tokens_to_ids(_ENGLISH)
        parts = [self._part(part, options) for part in self._parts(text)]
        return " ".join(part for part in parts if part)

    def _part(self, text: str, options: dict[str, Any]) -> str:
        tokens = self.tokenizer(text, return_tensors="pt")
        length = tokens["input_ids"].shape[1]
        written = self.network.generate(
            **tokens,
            **options,
            num_beams=_BEAMS,
            do_sample=False,
            early_stopping=True,
            max_length=None,
            max_new_tokens=2 * length + 20,
        )
        return _tidied(self.tokenizer.decode(written[0], skip_special_tokens=True), text)

    def _parts(self, text: str) -> Iterator[str]:
        """The text in pieces that the model can take, cut where it pauses."""
        part = ""
        for piece in self._pieces(text, 0):
            if part and not self._fits(part + piece):
                yield part.strip()
                part = ""
            part += piece
        yield part.strip()

    def _pieces(self, text: str, depth: int) -> Iterator[str]:
        if self._fits(text) or depth == len(_CUTS):
            yield text
            return
        for piece in _CUTS[depth].findall(text):
            yield from self._pieces(piece, depth + 1)

    def _fits(self, text: str) -> bool:
        return len(self.tokenizer(text)["input_ids"]) <= _MOST_TOKENS


def load(translator: Translator) -> Model:
    """BrokenModel if its files cannot be used. Of pickles only weights are read."""
    from transformers import (
        MarianMTModel,
        MarianTokenizer,
        MBart50TokenizerFast,
        MBartForConditionalGeneration,
    )

    kinds = {
        "mbart": (MBartForConditionalGeneration, MBart50TokenizerFast),
        "marian": (MarianMTModel, MarianTokenizer),
    }
    network, tokenizer = kinds[translator.kind]
    # All that sacremoses would add is to make quotation marks and dashes plain.
    warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
    try:
        with building.alone:
            loaded, told = network.from_pretrained(
                translator.path, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
        words = tokenizer.from_pretrained(translator.path, local_files_only=True)
    except _DAMAGE as error:
        first = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise BrokenModel(translator.path, f"it does not load as a translator ({first})") from error
    if missing := [one for one in told["missing_keys"] if not one.endswith(_MADE)]:
        raise BrokenModel(translator.path, f"{len(missing)} of its tensors are missing")
    return Model(translator.kind, loaded.eval(), words)


def _code(tokenizer: Any, language: str) -> str:
    """mBART's name of a language: de_DE, fr_XX."""
    codes: dict[str, int] = tokenizer.lang_code_to_id
    return next(one for one in codes if one.startswith(f"{language}_"))


def _tidied(english: str, text: str) -> str:
    """Without the full stop that models trained on sentences put behind words that had none."""
    english = english.strip()
    return english if text.rstrip().endswith((".", "\u3002")) else english.removesuffix(".")
