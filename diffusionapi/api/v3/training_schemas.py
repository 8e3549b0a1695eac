"""Bodies and answers of trainings."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from diffusionapi.api.v3.fields import Between, V3Model
from diffusionapi.api.v3.generation_schemas import Webhook  # noqa: TC001 - pydantic reads annotations

FEWEST_PICTURES, MOST_PICTURES = 3, 50
MOST_STEPS = 2000
MOST_CLASS_PICTURES = 200


def _list(value: object) -> object:
    """Clients that send forms have one picture in a field, or all of them as JSON in one."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return [value]
    return [value]


def _word(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _enough(pictures: list[str]) -> list[str]:
    if FEWEST_PICTURES <= len(pictures) <= MOST_PICTURES:
        return pictures
    raise PydanticCustomError(
        "count", "must have {fewest} to {most} items", {"fewest": FEWEST_PICTURES, "most": MOST_PICTURES}
    )


Pictures = Annotated[
    list[str],
    BeforeValidator(_list),
    AfterValidator(_enough),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string"},
            "minItems": FEWEST_PICTURES,
            "maxItems": MOST_PICTURES,
        }
    ),
]
Steps = Annotated[int, Between(1, MOST_STEPS)]
Rate = Annotated[float, Between(0, 1)]


class Training(V3Model):
    instance_prompt: str = Field(
        description="What the pictures show, with a rare word for what is new: `photo of adhik person`"
    )
    class_prompt: str | None = Field(
        None,
        description="What the model is to go on painting as it does now: `photo of person`. "
        "Default: as `training_type` says, else none",
    )
    negative_prompt: str = Field("", description="Of the pictures of the class")
    images: Pictures = Field(description="URLs of pictures, data URLs or base64")
    training_type: Annotated[Literal["men", "female", "couple"], BeforeValidator(_word)] | None = Field(
        None, description="Stands for a `class_prompt` where there is none; default: an object, or anything"
    )
    num_class_images: Annotated[int, Between(0, MOST_CLASS_PICTURES)] = Field(
        50, description="How many pictures of the class are painted before; an addition of ours"
    )
    seed: Annotated[int, Between(0, 2**32 - 1)] | None = Field(
        None, description="The same gives the same LoRA; default: a random one"
    )
    webhook: Webhook = Field(None, description="URL that is told of each new status; default: none")


class OnModel(Training):
    base_model_id: str | None = Field(
        None, description="The model that is learnt on; default: that of the server"
    )


class FineTuneBody(OnModel):
    max_train_steps: Steps | None = Field(
        None, description="How many steps are made; default: 100 a picture, at most 2000"
    )


class FineTuneV2Body(OnModel):
    learning_rate_unet: Rate = Field(1e-4, description="Of the LoRA's layers in the UNet")
    steps_unet: Steps = Field(1500, description="How many steps are made")
    learning_rate_text_encoder: Rate = Field(5e-5, description="Of those in the text encoder")
    steps_text_encoder: Annotated[int, Between(0, MOST_STEPS)] = Field(
        350, description="For how many of the steps the text encoder learns, too"
    )


class LoraFineTuneBody(OnModel):
    base_model_type: Annotated[Literal["normal", "sdxl"], BeforeValidator(_word)] = Field(
        "normal", description="Which kind of model is learnt on, if `base_model_id` names none"
    )
    lora_type: Annotated[Literal["lora", "lycoris"], BeforeValidator(_word)] = Field(
        "lora", description="`lora`; `lycoris` is refused"
    )
    max_train_steps: Steps | None = Field(
        None, description="How many steps are made; default: 100 a picture, at most 2000"
    )


_PICTURES = [f"https://example.com/adhik-{number}.png" for number in range(1, 4)]
FINE_TUNE_EXAMPLE: dict[str, Any] = {
    "key": "5f0c4d1e…",
    "instance_prompt": "photo of adhik person",
    "class_prompt": "photo of person",
    "base_model_id": "stable-diffusion-v1-5",
    "images": _PICTURES,
    "training_type": "men",
    "max_train_steps": "2000",
    "webhook": None,
}
FINE_TUNE_V2_EXAMPLE: dict[str, Any] = {
    "key": "5f0c4d1e…",
    "instance_prompt": "photo of adhik person",
    "class_prompt": "photo of person",
    "base_model_id": "stable-diffusion-v1-5",
    "images": _PICTURES,
    "learning_rate_unet": "1e-4",
    "steps_unet": "1500",
    "learning_rate_text_encoder": "5e-5",
    "steps_text_encoder": "350",
}
LORA_EXAMPLE: dict[str, Any] = {
    "key": "5f0c4d1e…",
    "instance_prompt": "photo of adhik person",
    "class_prompt": "photo of person",
    "base_model_type": "normal",
    "images": _PICTURES,
    "lora_type": "lora",
    "max_train_steps": "800",
}


class TrainingStarted(BaseModel):
    status: Literal["success"] = Field("success", description="`success`")
    messege: str = Field("deploying_gpu", description="The training's status")
    message: str = Field("deploying_gpu", description="The same")
    data: str = Field(description="What is going to be done")
    training_id: str = Field(description="For its status, and the name of the LoRA that comes of it")
    model_id: str = Field(description="The same: what to name it by when it is ready")


class TrainingStatus(BaseModel):
    status: Literal["success", "failed"] = Field(
        description="`failed` of a training that failed or was cancelled"
    )
    messege: str = Field(description="The training's status")
    message: str = Field(description="The same")
    data: str = Field(description="Its log")
    training_id: str
    model_id: str
    training_status: str = Field(description="As `messege`")
    model_training_status: str = Field(description="The same")
    test_image: str | None = Field(None, description="null; none is made")


class TrainingList(BaseModel):
    status: Literal["success"] = Field("success", description="`success`")
    messege: str = Field("model list", description="`model list`")
    message: str = Field("model list", description="The same")
    data: list[str] = Field(description="Ids of trainings, the oldest first")
