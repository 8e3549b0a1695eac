"""Miniature translators with random weights and real tokenizers, in the folders that transformers saves."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import sentencepiece
import torch
from transformers import (
    MarianConfig,
    MarianMTModel,
    MBart50TokenizerFast,
    MBartConfig,
    MBartForConditionalGeneration,
)

if TYPE_CHECKING:
    from pathlib import Path

_TEXTS = (
    "eine schwarze Katze auf dem Dach",
    "ein altes Haus am See mit roten Rosen",
    "le chat noir sur le toit de la maison",
    "чёрная кошка на крыше старого дома",
    "a black cat on the roof of the old house by the sea",
)
_SIZES = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 512,
    "dropout": 0.0,
    "init_std": 0.5,
}


def make_marian(folder: Path, source: str = "de", *, seed: int = 1) -> Path:
    folder.mkdir(parents=True)
    pieces = _trained()
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(pieces)
    words = sentencepiece.SentencePieceProcessor(model_proto=pieces)
    known = [words.id_to_piece(one) for one in range(words.get_piece_size())]
    vocabulary = ["</s>", "<unk>", *(one for one in known if one not in ("<s>", "</s>", "<unk>")), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({one: place for place, one in enumerate(vocabulary)}))
    languages = {"source_lang": source, "target_lang": "en", "tokenizer_class": "MarianTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(languages))
    pad = len(vocabulary) - 1
    config = MarianConfig(
        vocab_size=len(vocabulary), pad_token_id=pad, eos_token_id=0, decoder_start_token_id=pad, **_SIZES
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        MarianMTModel(config).save_pretrained(folder)
    return folder


def make_mbart(folder: Path, *, seed: int = 2) -> Path:
    folder.mkdir(parents=True)
    (folder / "sentencepiece.bpe.model").write_bytes(_trained())
    tokenizer = MBart50TokenizerFast.from_pretrained(folder)
    config = MBartConfig(vocab_size=len(tokenizer), **_SIZES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        MBartForConditionalGeneration(config).save_pretrained(folder)
    return folder


def _trained() -> bytes:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_TEXTS * 5),
        model_writer=written,
        vocab_size=200,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return written.getvalue()
