"""Prompts through the text encoders of a model, as diffusers' pipelines encode them, with A1111's emphasis.

Long prompts are encoded chunk by chunk and joined; SDXL joins what its two encoders say of each token.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from diffusionapi.engine.devices import sent
from diffusionapi.engine.prompts import parse
from diffusionapi.engine.prompts.cache import Encoded, EncodedCache
from diffusionapi.engine.prompts.chunks import Vocabulary, batch, chunked, units
from diffusionapi.engine.prompts.embeddings import Embeddings
from diffusionapi.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from diffusionapi.engine.prompts.chunks import Batch, Names
    from diffusionapi.engine.prompts.embeddings import Embedding, EmbeddingFile
    from diffusionapi.engine.prompts.parse import Piece

    _Output = tuple[Tensor, Tensor | None]

_CHUNKS_AT_ONCE = 8
"""What a very long prompt takes of the device's memory is bounded by this."""


class TextModel(Protocol):
    """What a loaded model has to have to encode prompts."""

    @property
    def family(self) -> str: ...
    @property
    def zeroes_empty_prompt(self) -> bool: ...
    @property
    def text_encoders(self) -> Sequence[Any]: ...
    @property
    def tokenizers(self) -> Sequence[Any]: ...
    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def device(self) -> torch.device: ...


@dataclass(frozen=True, slots=True)
class _Reading:
    """Which of a text encoder's layers a family of models was trained on."""

    trained_on: int
    """Counted from the last: 1 or 2."""
    stored_from: int
    """The first layer that the model's files hold, counted alike: SD 2.x leaves the last one out."""
    normed: bool
    """Whether the encoder's last norm comes after it."""
    slots: tuple[str, ...]
    """What textual inversions call its text encoders."""


_READINGS = {
    "sd1": _Reading(1, 1, normed=True, slots=("",)),
    "sd2": _Reading(2, 2, normed=True, slots=("",)),
    "sdxl": _Reading(2, 1, normed=False, slots=("clip_l", "clip_g")),
    "refiner": _Reading(2, 1, normed=False, slots=("clip_g",)),
}


class PromptEncoder:
    """`clip_skip` as A1111 counts: 1 is the last layer, 2 the one before it; None is the family's own.

    SD 2.x and SDXL were trained on the layer before the last, so for them 1 and 2 both mean that one.
    What diffusers' pipelines call clip_skip is the number of layers left out beyond the family's own.
    `adapters` tells states of the text encoders' weights apart: LoRAs that are applied, with their scales.
    """

    def __init__(
        self,
        model: TextModel,
        clip_skip: int | None = None,
        embeddings: Embeddings | None = None,
        *,
        cache: EncodedCache | None = None,
        adapters: Hashable = (),
    ) -> None:
        reading = _READINGS[model.family]
        layer = max(clip_skip or 1, reading.trained_on) - reading.stored_from + 1
        self._model = model
        self._encoders = [
            _TextEncoder(encoder, tokenizer, slot, layer, model.device, normed=reading.normed)
            for encoder, tokenizer, slot in zip(
                model.text_encoders, model.tokenizers, reading.slots, strict=True
            )
        ]
        self._embeddings = embeddings or Embeddings()
        self._cache = cache or EncodedCache()
        self._key = (weakref.ref(model.text_encoders[-1]), layer, model.dtype, str(model.device), adapters)

    @property
    def zeroes_empty_prompt(self) -> bool:
        return self._model.zeroes_empty_prompt

    def encode(self, text: str) -> Encoded:
        """One prompt at one step: emphasis, BREAK and embeddings are read, nothing else."""
        sections = parse.sections(text)
        files = self._mentioned(sections)
        key = (*self._key, tuple(files), text)
        found = self._cache.get(key)
        if found is None:
            with torch.no_grad():
                found = self._encode(sections, files)
            self._cache.put(key, found)
        return found

    def encode_anew(self, text: str) -> Encoded:
        """The same for text encoders that learn: nothing is kept, and gradients find the way back to them."""
        sections = parse.sections(text)
        return self._encode(sections, self._mentioned(sections))

    def _mentioned(self, sections: list[list[Piece]]) -> list[EmbeddingFile]:
        return self._embeddings.mentioned("".join(words for one in sections for words, _ in one))

    def _encode(self, sections: list[list[Piece]], files: list[EmbeddingFile]) -> Encoded:
        widths = {one.slot: one.width for one in self._encoders}
        embeddings = [one for one in (file.read() for file in files) if one.fits(widths)]
        parts = [one.encode(sections, embeddings) for one in self._encoders]
        context = torch.cat([part for part, _ in parts], dim=-1).flatten(0, 1)
        pooled = parts[-1][1]
        place: dict[str, Any] = {"device": self._model.device, "dtype": self._model.dtype}
        return Encoded(context.to(**place), None if pooled is None else pooled.to(**place))


class _TextEncoder:
    """One text encoder with its tokenizer, read at a layer (1 is the last)."""

    def __init__(
        self, encoder: Any, tokenizer: Any, slot: str, layer: int, device: torch.device, *, normed: bool
    ) -> None:
        self.slot = slot
        self.width: int = encoder.config.hidden_size
        layers: int = encoder.config.num_hidden_layers
        if not 1 <= layer <= layers:
            raise BadRequest("clip_skip", f"this model's text encoder has only {layers} layers")
        self._encoder = encoder
        self._vocabulary = Vocabulary(tokenizer)
        self._layer = layer
        self._device = device
        self._normed = normed

    def encode(self, sections: list[list[Piece]], embeddings: list[Embedding]) -> _Output:
        """The context (chunks, tokens, width), and what the encoder says of the first chunk as a whole."""
        names: Names = {tuple(self._vocabulary.ids(one.name)): one.vectors[self.slot] for one in embeddings}
        chunks = chunked(
            (units(section, self._vocabulary, names) for section in sections), self._vocabulary.comma
        )
        parts = [
            self._run(batch(chunks[first : first + _CHUNKS_AT_ONCE], self._vocabulary))
            for first in range(0, len(chunks), _CHUNKS_AT_ONCE)
        ]
        return torch.cat([context for context, _ in parts]), parts[0][1]

    def _run(self, chunks: Batch) -> _Output:
        by_layer = self._layer > 1 or not self._normed
        with _replaced(self._encoder.get_input_embeddings(), chunks.vectors):
            output = self._encoder(sent(chunks.ids, self._device), output_hidden_states=by_layer)
        pooled: Tensor | None = getattr(output, "text_embeds", None)
        # hidden_states holds what each layer says, before the last norm
        context: Tensor = output.hidden_states[-self._layer] if by_layer else output.last_hidden_state
        if by_layer and self._normed:
            context = self._encoder.final_layer_norm(context)
        return _emphasized(context, chunks.weights), None if pooled is None else pooled[0]


def _emphasized(context: Tensor, weights: Tensor) -> Tensor:
    """Multiply the tokens by their weights, then bring each chunk back to the mean it had.

    That is what A1111 calls its original emphasis: stronger words make the others weaker.
    """
    if bool((weights == 1).all()):
        return context
    plain = context.float()
    weighted = plain * sent(weights, context.device)[..., None]
    ratio = plain.mean((1, 2), keepdim=True) / weighted.mean((1, 2), keepdim=True)
    return (weighted * torch.where(ratio.isfinite(), ratio, 1.0)).to(context.dtype)


@contextmanager
def _replaced(token_embedding: Any, vectors: list[tuple[int, int, Tensor]]) -> Iterator[None]:
    """Inside, embeddings' vectors stand where their placeholders are."""

    def insert(_module: Any, _arguments: Any, output: Tensor) -> Tensor:
        changed = output.clone()
        for row, place, rows in vectors:
            changed[row, place : place + len(rows)] = rows.to(changed)
        return changed

    handle = token_embedding.register_forward_hook(insert) if vectors else None
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()
