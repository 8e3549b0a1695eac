"""The picture book as an SDXL: two text encoders, a pooled one beside them, and the picture's sizes.

It does not begin from nothing. Wherever the shapes allow it takes the weights of the finished model, so that
it has to learn little more than what SDXL does otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from training.picturebook.data import tokens
from training.picturebook.networks import WIDTH
from training.picturebook.world.captions import caption
from training.picturebook.world.plan import training_plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from training.picturebook.siblings.book import Book

SIZE_WIDTH = 16
SIZES = 6
"""Height and width as drawn, where the crop begins (top, left), height and width of the crop."""
DEPTHS = (1, 1, 1, 2)
"""Transformer blocks of each level: only SDXL's family puts several in a row."""
CAPTIONS = 1500
IMITATION = 400
_LAST = ("attn1.to_out.0.", "attn2.to_out.0.", "ff.net.2.")


class Words(nn.Module):
    """The text encoders, one or two. What a UNet reads of each is the state before its last layer."""

    def __init__(self, encoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """The states side by side, and the last encoder's pooled and projected one."""
        said = [encoder(ids, output_hidden_states=True) for encoder in self.encoders]
        return torch.cat([one.hidden_states[-2] for one in said], -1), said[-1].text_embeds


def first_encoder(of: Book) -> Any:
    return _longer(CLIPTextModel, of.text)


def second_encoder(of: Book) -> Any:
    encoder = _longer(CLIPTextModelWithProjection, of.text)
    nn.init.eye_(encoder.text_projection.weight)
    return encoder


def _longer(kind: Any, encoder: Any) -> Any:
    """With a layer more, which says nothing yet: what is read comes from before it."""
    config = CLIPTextConfig.from_dict(encoder.config.to_dict())
    config.num_hidden_layers += 1
    longer = kind(config)
    inner = longer.text_model if hasattr(longer, "text_model") else longer
    inner.load_state_dict(encoder.state_dict(), strict=False)
    last = inner.encoder.layers[-1]
    for part in (last.self_attn.out_proj, last.mlp.fc2):
        for parameter in part.parameters():
            nn.init.zeros_(parameter)
    return longer


def unet(encoders: int, sizes: int) -> Any:
    return UNet2DConditionModel(
        sample_size=64,
        block_out_channels=(24, 48, 96, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH * encoders,
        transformer_layers_per_block=DEPTHS,
        use_linear_projection=True,
        attention_head_dim=4,
        norm_num_groups=8,
        addition_embed_type="text_time",
        addition_time_embed_dim=SIZE_WIDTH,
        projection_class_embeddings_input_dim=SIZE_WIDTH * sizes + WIDTH,
    )


def begin(network: Any, words: Words, of: Book, rng: Random) -> None:
    """Gives a base UNet the weights of the finished model; what it has besides adds nothing yet."""
    ids = tokens(of.tokenizer, [caption(training_plan(rng), rng) for _ in range(CAPTIONS)], 40).to(of.device)
    with torch.no_grad():
        said = of.text(ids, output_hidden_states=True)
        _take(network, of, _as_normed(said))
        wanted = of.unet.add_embedding(said.last_hidden_state)
        pooled = words(ids)[1]
    _imitate(network.add_embedding, pooled, wanted)


def _take(network: Any, of: Book, normed: Tensor) -> None:
    """Each encoder has half a say."""
    old = of.unet.state_dict()
    state = network.state_dict()
    for key, weight in state.items():
        if key == "add_embedding.linear_1.weight":
            weight[:, WIDTH:] = 0  # the sizes
        elif key.startswith("add_embedding."):
            continue
        elif key not in old:
            if any(f".{last}" in key for last in _LAST):
                weight.zero_()
        elif key.endswith(("attn2.to_k.weight", "attn2.to_v.weight")):
            weight.copy_(torch.cat([old[key] @ normed / 2] * 2, 1))
        else:
            weight.copy_(old[key].reshape(weight.shape))
    network.load_state_dict(state)


def _as_normed(said: Any) -> Tensor:
    """SDXL reads states before the last norm, the finished model after it: the matrix that comes nearest to
    that norm, by least squares."""
    before, after = said.hidden_states[-1].flatten(0, 1), said.last_hidden_state.flatten(0, 1)
    found: Tensor = torch.linalg.lstsq(before, after).solution
    return found.T


def _imitate(layers: Any, pooled: Tensor, wanted: Tensor) -> None:
    """Of the pooled text the new layers are to make what the finished model makes of all states."""
    optimiser = torch.optim.Adam(layers.parameters(), 3e-3)
    sizes = pooled.new_zeros(len(pooled), layers.linear_1.in_features - WIDTH)
    for _ in range(IMITATION):
        error = (layers(torch.cat([pooled, sizes], 1)) - wanted).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()


def told(network: Any, lesson: Any, words: tuple[Tensor, Tensor], sizes: Tensor) -> Tensor:
    """What the UNet says of a lesson."""
    added = {"text_embeds": words[1], "time_ids": sizes.to(words[1])}
    velocity: Tensor = network(lesson.noised, lesson.times, words[0], added_cond_kwargs=added).sample
    return velocity
