"""What goes over the wire of the routes that make pictures, field by field."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from diffusionapi.api.v3.fields import (
    NONE,
    YES,
    Between,
    Flag,
    Name,
    Names,
    Scales,
    Strengths,
    V3Model,
)

MAX_SEED = 2**32 - 1
MAX_SAMPLES = 4
MAX_STEPS = 51
USUAL_SCHEDULER = "UniPCMultistepScheduler"
USUAL_UPSCALER = "realesr-general-x4v3"
_HAS_A_HOST = re.compile(r"https?://[^/?#]", re.IGNORECASE)
_SIDE = "pixels, rounded down to a multiple of 8"
_PICTURE = "URL of a PNG, JPEG or WebP, such as one that this server gave; also a data URL or base64"

BlankKind = Literal["sensitive_content_text", "blur", "pixelate", "black"]


def _factor(value: object) -> object:
    """`yes` is twice as large; `no` and 1 leave it as it is."""
    said = str(value).strip().lower()
    if said in ("yes", "true"):
        return 2
    return 1 if said in NONE else value


def _url(value: object) -> object:
    if not isinstance(value, str):
        return value
    said = value.strip()
    if said.lower() in NONE:
        return None
    if not _HAS_A_HOST.match(said):
        raise PydanticCustomError("url", "must be a URL that begins with https:// or http://")
    return said


Factor = Annotated[
    Annotated[int, Between(1, 3)],
    BeforeValidator(_factor),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 3},
                {"type": "string", "enum": ["no", "yes", "1", "2", "3"]},
            ]
        }
    ),
]
Webhook = Annotated[str | None, BeforeValidator(_url)]
TrackId = Annotated[str | int | None, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "null"}]})]


class Generation(V3Model):
    """What all routes that paint take."""

    prompt: str = Field(description="What the picture shows")
    negative_prompt: str = Field("", description="What it does not show")
    model_id: Name = Field(
        None,
        description="A model, or a training of this server; default, where the route lets it be left out: "
        "the server's own",
    )
    width: Annotated[int, Between(64, 1024)] = Field(512, description=f"Width in {_SIDE}")
    height: Annotated[int, Between(64, 1024)] = Field(512, description=f"Height in {_SIDE}")
    samples: Annotated[int, Between(1, MAX_SAMPLES)] = Field(1, description="How many pictures")
    num_inference_steps: Annotated[int, Between(1, MAX_STEPS)] = Field(
        20,
        validation_alias=AliasChoices("num_inference_steps", "steps"),
        description="Sampling steps; also named `steps`",
    )
    guidance_scale: Annotated[float, Between(1, 20)] = Field(
        7.5, description="How closely it follows the words"
    )
    seed: Annotated[int, Between(0, MAX_SEED)] | None = Field(
        None, description="Of the first picture; the others have the next ones; default: a random one"
    )
    scheduler: str = Field(USUAL_SCHEDULER, description="One of `POST /api/v3/schedulers_list`")
    use_karras_sigmas: Flag = Field(True, description="Karras' noise levels, where the scheduler has them")
    algorithm_type: Name = Field(
        None,
        description="`dpmsolver+++` makes DPMSolverMultistepScheduler the stochastic one; default: it is not",
    )
    safety_checker: Flag = Field(
        True, description="A picture that the safety checker objects to is replaced; the operator may decide"
    )
    safety_checker_type: BlankKind | None = Field(
        None,
        description="By what it is replaced; default: a text, and on the routes without models black",
    )
    enhance_prompt: Flag = Field(
        True,
        description="Words of quality are added to both prompts, unless these are to be translated or there "
        "is no `prompt`",
    )
    lora_model: Names = Field([], description="LoRAs, with commas between them")
    lora_strength: Strengths = Field(
        [1.0], description="Of each LoRA, with commas between them; the last one is that of all further LoRAs"
    )
    embeddings_model: Names = Field(
        [], description="Textual inversions; those that no prompt names are added to the prompt"
    )
    vae: Name = Field(None, description="A VAE that is installed; default: the model's own")
    clip_skip: Annotated[int, Between(1, 8)] | None = Field(
        None, description="Text encoder's layer, 1 is the last; default: the model's own"
    )
    multi_lingual: Flag = Field(False, description="The prompts are in any language, and translated")
    panorama: Flag = Field(False, description="The left and the right edge fit together")
    self_attention: Flag = Field(
        False, description="Self-attention guidance: more detail, in two thirds more time"
    )
    upscale: Factor = Field(1, description="How many times larger the finished picture is made; yes: 2")
    highres_fix: Flag = Field(False, description="A second pass at one and a half times the size")
    tomesd: Flag = Field(True, description="Has no effect: it would change the speed only")
    base64: Flag = Field(False, description="The answer holds the pictures themselves, as base64 of PNGs")
    temp: Flag = Field(False, description="Has no effect: every link lives as long as JOB_TTL says")
    webhook: Webhook = Field(None, description="URL that is told the result; default: none")
    track_id: TrackId = Field(None, description="Comes back to the webhook; default: none")


class Text2Img(Generation):
    pass


class Img2Img(Generation):
    init_image: str = Field(description=f"The picture to begin with: {_PICTURE}")
    strength: Annotated[float, Between(0, 1)] = Field(
        0.7, description="How much of it may change: 1 keeps next to nothing of it"
    )


class Inpaint(Img2Img):
    mask_image: str = Field(description=f"Its white part is painted anew, its black part stays: {_PICTURE}")


class Controlled(Generation):
    controlnet_model: Names = Field(
        min_length=1,
        description="ControlNets, with commas between them: what they look at (canny, …), or names of files",
    )
    controlnet_type: Names = Field(
        [], description="What ControlNets named by their files look at; default: as their names say"
    )
    controlnet_conditioning_scale: Scales = Field(
        [1.0],
        description="How strongly each acts, with commas between them; the last one is that of all further",
    )
    auto_hint: Flag | None = Field(
        None,
        description="What they look at is read from the picture; no: it shows that already; "
        "default: yes, with a `control_image` no",
    )
    guess_mode: Flag = Field(
        False, description="The ControlNets act without words, and `prompt` may be left out"
    )
    control_image: str | None = Field(
        None, description=f"The picture they look at in place of `init_image`; default: none: {_PICTURE}"
    )
    mask_image: str | None = Field(
        None, description=f"The white part of `init_image` is painted anew; default: none: {_PICTURE}"
    )
    init_image: str | None = Field(
        None,
        description="The picture they look at; with `strength`, `mask_image` or `control_image` also the one "
        f"to begin with; required, but default: none beside a `control_image` without a mask: {_PICTURE}",
    )
    strength: Annotated[float, Between(0, 1)] | None = Field(
        None, description="How much of `init_image` may change; default: all, with a `control_image` 0.55"
    )

    @field_validator("init_image")
    @classmethod
    def _there_has_to_be_a_picture(cls, value: str | None, others: ValidationInfo) -> str | None:
        """The others come before it; one of them that is wrong is not among them."""
        looked_at, mask = others.data.get("control_image", ""), others.data.get("mask_image")
        if value is None and (looked_at is None or mask is not None):
            raise PydanticCustomError("missing", "is required")
        return value

    @model_validator(mode="before")
    @classmethod
    def _may_guess(cls, body: object) -> object:
        if isinstance(body, dict) and str(body.get("guess_mode")).strip().lower() in YES:
            return {"prompt": ""} | body
        return body


class Enlargement(V3Model):
    url: str = Field(
        validation_alias=AliasChoices("url", "init_image"),
        description=f"The picture; also named `init_image`: {_PICTURE}",
    )
    scale: Annotated[float, Between(1, 4)] = Field(3, description="How many times larger it is made")
    model_id: Name = Field(None, description="An upscaler that is installed; default: the best one that is")
    face_enhance: Flag = Field(False, description="Faces are restored, too")
    base64: Flag = Field(False, description="The answer holds the picture itself, as base64 of a PNG")
    webhook: Webhook = Field(None, description="URL that is told the result; default: none")
    track_id: TrackId = Field(None, description="Comes back to the webhook; default: none")


class FetchById(V3Model):
    request_id: Annotated[str | int, WithJsonSchema({"type": "string"})] = Field(
        description="The `id` of an earlier answer"
    )


class Generated(BaseModel):
    status: Literal["success"]
    tip: str | None = Field(
        None, description="What was done otherwise than asked for", exclude_if=lambda one: one is None
    )
    generationTime: float = Field(description="Seconds")  # noqa: N815 - the wire's
    id: int = Field(description="To fetch it again, for JOB_TTL of the server")
    output: list[str] = Field(description="URLs of the pictures, or with `base64` the pictures")
    nsfw_content_detected: bool = Field(description="A safety checker objected to one of them")
    meta: dict[str, Any] = Field(description="The request as it was understood")


class Enlarged(BaseModel):
    status: Literal["success"]
    generationTime: float = Field(description="Seconds")  # noqa: N815 - the wire's
    id: int = Field(description="To fetch it again, for JOB_TTL of the server")
    output: str | list[str] = Field(description="URL of the picture, or with `base64` the picture")


class Processing(BaseModel):
    status: Literal["processing"]
    tip: str = Field(description="What to do now")
    eta: float = Field(description="Seconds it will take, about")
    messege: str = Field(description="What to do now")
    message: str = Field(description="The same")
    webhook_status: str = Field(description="Empty")
    fetch_result: str = Field(description="Where to ask for it, by POST with the key")
    id: int
    output: list[str] = Field(description="Empty")
    meta: dict[str, Any] = Field(description="The request as it was understood")
    future_links: list[str] = Field(description="Where the pictures will be")


class Fetched(BaseModel):
    status: Literal["success"]
    tip: str | None = Field(
        None, description="What was done otherwise than asked for", exclude_if=lambda one: one is None
    )
    id: int
    output: list[str] = Field(description="URLs of the pictures, or with `base64` the pictures")


class NotYet(BaseModel):
    status: Literal["processing"]
    id: int
    messege: str
    message: str
    output: str = Field(description="Empty")
    eta: float = Field(description="Seconds it will take, about")
