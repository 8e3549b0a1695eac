"""What goes over the wire for pictures that are made larger, and for trainings."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from diffusionapi.api.fields import Float, Int, Number, RequestModel
from diffusionapi.api.primary.img2img_schemas import SUN_OVER_A_HILL, THE_SUN, GivenPicture
from diffusionapi.api.primary.schemas import MAX_SEED, PICTURE, Encoded, Priority, Prompt, UpscaleConfig
from diffusionapi.api.teaching import RANK, RATE


class EnlargeRequest(UpscaleConfig, Encoded, GivenPicture):
    image: str = Field(min_length=1, description=f"The picture that is made larger, {PICTURE}")
    priority: Priority = 0


_NAME = re.compile(r"^[0-9A-Za-z][0-9A-Za-z_.-]*$")


def _file_name(value: object) -> object:
    if isinstance(value, str) and not _NAME.match(value):
        raise ValueError(
            "must have letters, digits, '_', '.' and '-' only, and begin with one of the first two"
        )
    return value


Rate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), Number()]
Steps = Annotated[int, Field(ge=1, le=20000), Number()]


class LearnRequest(RequestModel):
    name: Annotated[str, BeforeValidator(_file_name)] = Field(
        pattern=_NAME.pattern,
        max_length=100,
        description="Of the LoRA that comes of it, and its file: letters, digits, `_`, `.` and `-`",
    )
    images: list[Annotated[str, Field(min_length=1)]] = Field(
        min_length=1, max_length=50, description=f"5 to 20 pictures are good, {PICTURE}"
    )
    instance_prompt: Prompt = Field(
        description="What they show, with a rare word for what is new: `a photo of sks dog`"
    )
    model: Prompt | None = Field(
        None, description="The model that is learnt on, and is to be used; default: that of a picture"
    )
    class_prompt: Prompt | None = Field(
        None,
        description="What the model is to go on painting as it does now: `a photo of a dog`; default: none",
    )
    class_negative_prompt: str = Field("", description="Of the pictures of the class")
    class_images: Int = Field(
        50,
        ge=1,
        le=1000,
        description="How many pictures of the class the model paints before, if there is one",
    )
    prior_weight: Float = Field(1.0, ge=0, le=10, description="How much these count")
    steps: Steps | None = Field(
        None, description="How many steps are made; default: 100 a picture, at most 2000"
    )
    learning_rate: Rate = Field(RATE, description="Of the LoRA's layers in the UNet")
    text_encoder_learning_rate: Rate = Field(
        0.0, description="Of those in the text encoder; 0: it learns nothing; usual: 5e-5"
    )
    text_encoder_steps: Steps | None = Field(
        None, description="For how many of the steps the text encoder learns; default: a third of them"
    )
    rank: Int = Field(RANK, ge=1, le=256, description="How much the LoRA can hold")
    alpha: Annotated[float, Field(gt=0, le=1024, allow_inf_nan=False), Number()] | None = Field(
        None, description="How strongly it acts, in terms of its rank; default: as `rank`"
    )
    size: Annotated[int, Field(ge=64, le=2048), Number()] | None = Field(
        None,
        description="Pixels a side that pictures are brought to, rounded down to a multiple of 64; "
        "default: what the model paints best",
    )
    batch_size: Int = Field(1, ge=1, le=16, description="Pictures a step")
    seed: Annotated[int, Field(ge=-1, le=MAX_SEED), Number()] | None = Field(
        None, description="The same seed gives the same LoRA on a CPU; -1 or none draws one"
    )
    priority: Priority = 0


class Learning(BaseModel):
    job_id: str = Field(description="Ask for it at `GET /queue/{job_id}`")
    status: str = Field("queued", description="`queued`")
    lora: str = Field(description="What requests name the LoRA by, once it is there")
    notices: list[str] = Field(description="Sentences on what may be otherwise than it was meant")


ENLARGE_EXAMPLE: dict[str, Any] = {
    "image": SUN_OVER_A_HILL,
    "scale": 2.0,
    "upscaler": "Lanczos",
    "fileType": "png",
}
LEARN_EXAMPLE: dict[str, Any] = {
    "name": "sun-over-a-hill",
    "images": [SUN_OVER_A_HILL, THE_SUN],
    "instance_prompt": "a drawing of sks sun",
    "class_prompt": "a drawing of a sun",
    "class_images": 2,
    "steps": 160,
    "learning_rate": 0.0001,
    "rank": 8,
    "seed": 123456789,
}
