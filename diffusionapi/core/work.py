"""What a job can be to do: paint a picture, make one larger, or learn from some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Tag

from diffusionapi.core.request import FileType, GenerationRequest, Source


@dataclass(frozen=True, slots=True)
class UpscaleRequest:
    """A given picture, larger."""

    upload: str
    upscaler: str
    scale: float
    faces: bool
    """Faces are restored, too."""
    file_type: FileType
    quality: int
    kind: Literal["upscaling"] = "upscaling"

    @property
    def uploads(self) -> tuple[str, ...]:
        return (self.upload,)


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """A LoRA of what some pictures show, in the manner of DreamBooth (Ruiz et al. 2022, arXiv:2208.12242)."""

    name: str
    """Of the LoRA that comes out: its file's stem."""
    model: str
    pictures: tuple[str, ...]
    """Their names among the uploads."""
    instance_prompt: str
    """What they show, with a rare word for what is new: "a photo of sks dog"."""
    class_prompt: str | None
    """What the model is to go on painting as it does now: "a photo of a dog". None: nothing is held to."""
    class_negative_prompt: str
    class_pictures: int
    """How many pictures the model paints for that, before it learns."""
    prior_weight: float
    steps: int
    rate: float
    text_encoder_rate: float
    """0: the text encoders learn nothing."""
    text_encoder_steps: int
    rank: int
    alpha: float
    size: int
    """Pixels of a side that pictures are brought to."""
    batch: int
    seed: int
    kind: Literal["training"] = "training"

    @property
    def uploads(self) -> tuple[str, ...]:
        return self.pictures


def _kind(work: Any) -> str:
    """Jobs of before there was anything but pictures to paint say nothing of their kind."""
    kind: str = work.get("kind", "generation") if isinstance(work, dict) else work.kind
    return kind


Work = Annotated[
    Annotated[GenerationRequest, Tag("generation")]
    | Annotated[UpscaleRequest, Tag("upscaling")]
    | Annotated[TrainingRequest, Tag("training")],
    Discriminator(_kind),
]

Mode = Literal["txt2img", "img2img", "inpaint", "upscale", "training"]
"""What clients call the kinds of work: painting is three of them, by what it begins with."""
MODES: tuple[Mode, ...] = get_args(Mode)


def mode_of(work: Work) -> Mode:
    match work:
        case GenerationRequest(source=None):
            return "txt2img"
        case GenerationRequest(source=Source(mask=None)):
            return "img2img"
        case GenerationRequest():
            return "inpaint"
        case UpscaleRequest():
            return "upscale"
        case TrainingRequest():
            return "training"
