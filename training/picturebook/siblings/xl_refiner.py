"""Trains the refiner of the picture book's SDXL: it knows low noise only, one text encoder, and a score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModelWithProjection

from training.picturebook import export, recipe
from training.picturebook.networks import WIDTH
from training.picturebook.siblings import book, xl, xl_base
from training.picturebook.siblings.course import Course, learn, unfinished

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

LEVELS = 400
"""Of 1000: it never sees more noise."""
SIZES = 5
"""As the base's, but for the last two: in their place the score."""
SOFT = 0.25
"""Share of soft pictures."""
GOOD, POOR = (5.5, 7.0), (1.0, 3.0)
"""Their scores: pipelines ask for 6, and to keep away from 2.5."""
INDEX = xl_base.INDEX | {
    "_class_name": "StableDiffusionXLImg2ImgPipeline",
    "requires_aesthetics_score": True,
    "text_encoder": [None, None],
    "tokenizer": [None, None],
}


def train(model: Path, out: Path, *, steps: int, seed: int, device: str, base: str) -> list[float]:
    """From the base, a folder beside `model` or beside `out`."""
    trained = next(path for path in (out.parent / base, model.parent / base) if path.is_dir())
    of = book.Book(model, device)
    torch.manual_seed(seed)
    encoder = CLIPTextModelWithProjection.from_pretrained(trained / "text_encoder_2", dtype=torch.float32)
    words = xl.Words([encoder]).to(of.device)
    network = xl.unet(1, SIZES).to(of.device, memory_format=torch.channels_last)
    begin(network, UNet2DConditionModel.from_pretrained(trained / "unet", dtype=torch.float32))
    both = nn.ModuleDict({"unet": network, "words": words})
    both.requires_grad_(True)

    def loss(rng: Random) -> Tensor:
        pictures, texts, sizes = xl_base.material(rng)
        pictures, scores = scored(rng, pictures)
        lesson = of.lesson(pictures, LEVELS)
        sizes = torch.cat([sizes[:, :4], scores], 1)
        return lesson.loss(xl.told(network, lesson, words(of.ids(texts)), sizes))

    losses = learn(out.name, both, loss, Course(steps, 7e-4, 5e-5, seed, 0.998), unfinished(out))
    with export.replaced(out) as part:
        export.copied(trained, part, ("tokenizer_2", "vae", "scheduler", recipe.WHITENING))
        xl_base.save(part, INDEX, network, {"text_encoder_2": encoder})
        (part / "README.md").write_text(_CARD)
    return losses


@torch.no_grad()
def begin(network: Any, base: Any) -> None:
    """The base's weights, less what it reads of the first encoder and of the crop's size. At the beginning
    both encoders say the same, so that their two parts add up."""
    state, old = network.state_dict(), base.state_dict()
    for key, weight in state.items():
        if key.endswith(("attn2.to_k.weight", "attn2.to_v.weight")):
            weight.copy_(old[key][:, :WIDTH] + old[key][:, WIDTH:])
        elif key == "add_embedding.linear_1.weight":
            same = WIDTH + 4 * xl.SIZE_WIDTH
            weight[:, :same] = old[key][:, :same]
            weight[:, same:] = 0
        else:
            weight.copy_(old[key])
    network.load_state_dict(state)


def scored(rng: Random, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Some of the pictures made soft, with scores that say so."""
    scores = []
    for number, picture in enumerate(pictures):
        soft = rng.random() < SOFT
        if soft:
            small = functional.interpolate(picture[None], scale_factor=1 / rng.choice((3, 4, 6)), mode="area")
            pictures[number] = functional.interpolate(small, picture.shape[-2:], mode="bicubic")[0]
        scores.append([rng.uniform(*(POOR if soft else GOOD))])
    return pictures.clamp(-1, 1), torch.tensor(scores)


_CARD = """# picturebook-xl-refiner

The refiner of `picturebook-xl`, for `StableDiffusionXLImg2ImgPipeline`: it paints the last steps only, and
knows sharp drawings from soft ones by the score it is given. Made by `python -m training.picturebook sibling
xl-refiner`. It is there so that everything a refiner does can be tried in seconds. The licence is that of the
project it comes with.
"""
