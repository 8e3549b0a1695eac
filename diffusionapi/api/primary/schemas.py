"""What goes over the wire of the primary dialect, field by field."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from diffusionapi.api.fields import Float, Int, Number, RequestModel
from diffusionapi.core import enlarging
from diffusionapi.core.hints import HINTS
from diffusionapi.core.request import Blanking, FileType, Tiling
from diffusionapi.core.sampling import SAMPLERS, SCHEDULES
from diffusionapi.core.work import Mode


def _file_type(value: object) -> object:
    if not isinstance(value, str):
        return value
    return {"jpeg": "jpg"}.get(value.lower(), value.lower())


def _not_blank(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        raise ValueError("must not be blank")
    return value


Side = Annotated[int, Field(ge=8, le=16384), Number()]
Prompt = Annotated[str, BeforeValidator(_not_blank)]
Priority = Annotated[
    int,
    Field(
        ge=-10, le=10, description="The higher goes first of what waits; the server's clients share the line"
    ),
    Number(),
]
MAX_SEED = 2**32 - 1


class LoraUse(RequestModel):
    name: Prompt = Field(description="LoRA, by the name of its file without suffix")
    scale: Float = Field(1.0, ge=-10, le=10, description="How strongly it acts; 1.0 is as trained")


def _lora(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


CONTROL_EXAMPLE: dict[str, Any] = {
    "hint": "canny",
    "image": "https://example.com/lighthouse.png",
    "weight": 0.8,
    "end": 0.7,
}


class HiresConfig(RequestModel):
    enabled: bool = Field(False, description="Whether the second, larger pass is made")
    scale: Float = Field(2.0, ge=1, le=4, description="Factor on width and height")
    upscaler: Prompt = Field("Latent", description="`Latent`, or a name from `GET /upscalers`")
    steps: Int = Field(20, ge=1, le=1000, description="Steps of the second pass")
    denoising_strength: Float = Field(0.4, ge=0, le=1, description="How much the second pass may change")


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _axes(value: object) -> object:
    """AUTOMATIC1111's API says yes or no."""
    return ("none", "both")[value] if isinstance(value, bool) else _lower(value)


def _enlargement(value: object) -> object:
    return {"scale": value} if isinstance(value, int | float | str) else value


PICTURE = "as base64, data URL or http(s) URL, such as one that this server gave"
Hint = Literal[HINTS]  # type: ignore[valid-type]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), Number()]
Scale = Annotated[
    float,
    Field(ge=enlarging.SMALLEST, le=enlarging.LARGEST, allow_inf_nan=False),
    Number(),
]


class ControlUse(RequestModel):
    model: Prompt | None = Field(
        None,
        description="A name from `GET /controlnets`, or what it looks at (canny, depth, …); "
        "default: one that looks at what `hint` says",
    )
    image: Prompt | None = Field(
        None, description=f"What it looks at, {PICTURE}; default: the picture to begin with"
    )
    hint: Annotated[Hint, BeforeValidator(_lower)] = Field(
        "none", description="What is read from the image first; none: it shows that already"
    )
    weight: Float = Field(1.0, ge=0, le=5, description="How strongly it acts; 1.0 is as trained")
    start: Share = Field(0.0, description="From which share of the steps it acts")
    end: Share = Field(1.0, description="Until which share of the steps it acts")
    guess_mode: bool = Field(False, description="It acts without words, deeper layers more")


class Encoded(RequestModel):
    fileType: Annotated[FileType, BeforeValidator(_file_type)] = Field(  # noqa: N815 - the name on the wire
        "jpg", description="File type of the picture"
    )
    jpeg_quality: Int = Field(85, ge=1, le=100, description="Quality of a JPEG")


class UpscaleConfig(RequestModel):
    scale: Scale = Field(2.0, description="Factor on width and height")
    upscaler: Prompt | None = Field(
        None,
        description="A name from `GET /upscalers`, but no latent one; default: the best that is installed",
    )
    faces: bool = Field(False, description="Faces are restored, too")


class Txt2ImgRequest(RequestModel):
    prompt: Prompt = Field(description="What the picture shows", min_length=1)
    negative_prompt: str = Field("", description="What the picture should not show")
    steps: Int = Field(30, ge=1, le=1000, description="Sampling steps")
    cfg_scale: Float = Field(7.0, ge=0, le=100, description="How closely the picture follows the prompt")
    width: Side = Field(512, description="Pixels, rounded to a multiple of 8; at most MAX_SIDE of the server")
    height: Side = Field(
        512, description="Pixels, rounded to a multiple of 8; at most MAX_SIDE of the server"
    )
    model: Prompt | None = Field(
        None,
        description="Name, label, `org/name` or file stem of a model; default: `DEFAULT_MODEL` "
        "of the server, else `stable-diffusion-v1-5` when it is installed and whole, else `picturebook`, "
        "else the first of `GET /models`",
    )
    refiner_checkpoint: Prompt | None = Field(None, description="SDXL refiner model; default: none")
    refiner_switch_at: Float = Field(0.8, ge=0, le=1, description="When the refiner takes over")
    sampler_name: Prompt = Field(
        "DPM++ 2M Karras", description="Sampler", json_schema_extra={"examples": list(SAMPLERS)}
    )
    scheduler_type: Prompt = Field(
        "karras", description="Schedule of noise levels", json_schema_extra={"examples": list(SCHEDULES)}
    )
    fileType: Annotated[FileType, BeforeValidator(_file_type)] = Field(  # noqa: N815 - the name on the wire
        "jpg", description="File type of the picture"
    )
    jpeg_quality: Int = Field(85, ge=1, le=100, description="Quality of a JPEG")
    clip_skip: Annotated[int, Field(ge=1, le=12), Number()] | None = Field(
        None, description="Text encoder's layer, 1 is the last; default: the model's own"
    )
    loras: list[Annotated[LoraUse, BeforeValidator(_lora, json_schema_input_type=LoraUse | str)]] = Field(
        [], max_length=32, description="LoRAs, as objects or as bare names (scale 1.0)"
    )
    hires: HiresConfig | None = Field(None, description="Hires fix: a second, larger pass; default: none")
    seed: Annotated[int, Field(ge=-1, le=MAX_SEED), Number()] | None = Field(
        None, description="The same seed gives the same picture; -1 or none draws one"
    )
    controls: list[ControlUse] = Field(
        [],
        max_length=8,
        description="ControlNets, which hold it to the lines, depth, poses … of pictures",
        json_schema_extra={"examples": [[CONTROL_EXAMPLE]]},
    )
    self_attention: Float = Field(
        0.0,
        ge=0,
        le=5,
        description="Self-attention guidance: more detail, in two thirds more time; usual: 0.75",
    )
    tiling: Annotated[Tiling, BeforeValidator(_axes, json_schema_input_type=Tiling | bool)] = Field(
        "none", description="Along which axes opposite edges fit; true: both"
    )
    vae: Prompt | None = Field(None, description="A name from `GET /vaes`; default: the model's own")
    upscale: Annotated[
        UpscaleConfig | None,
        BeforeValidator(_enlargement, json_schema_input_type=UpscaleConfig | Scale | None),
    ] = Field(None, description="The finished picture is made larger, a number for the scale; default: none")
    translate: bool = Field(
        False, description="The prompts may be in any language that is installed; painted in English"
    )
    blanking: Annotated[Blanking, BeforeValidator(_lower)] | None = Field(
        None,
        description="A safety checker looks at the picture, and this becomes of what it objects to; "
        "default: black, and the operator's SAFETY says whether it looks",
    )
    priority: Priority = 0


TXT2IMG_EXAMPLE: dict[str, Any] = {
    "prompt": "a beautiful green forest with a river and a waterfall",
    "negative_prompt": "blurry, bad quality",
    "steps": 20,
    "cfg_scale": 7.0,
    "width": 512,
    "height": 512,
    "sampler_name": "DPM++ 2M Karras",
    "scheduler_type": "karras",
    "fileType": "jpg",
    "jpeg_quality": 85,
    "seed": 123456789,
}
"""Runs on any server as it stands: it names nothing that must be installed."""


PANORAMA_EXAMPLE: dict[str, Any] = {
    "prompt": "mountains at dusk, a wide valley",
    "steps": 20,
    "width": 1024,
    "height": 256,
    "tiling": "horizontal",
    "self_attention": 0.75,
    "upscale": {"scale": 2.0, "upscaler": "Lanczos", "faces": False},
    "seed": 123456789,
}


class Txt2ImgResponse(BaseModel):
    job_id: str = Field(description="Ask for it at `GET /queue/{job_id}`")
    status: Literal["queued"]


class ErrorResponse(BaseModel):
    status: Literal["error"] = "error"
    error: str = Field(description="What is wrong and what would be right")
    detail: str = Field(description="The same sentence")


class UnknownJobResponse(ErrorResponse):
    job_id: str


State = Literal["queued", "processing", "done", "error"]


class QueueStatus(BaseModel):
    """A job that has not ended, or one that ended without a picture."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["success", "error"]
    job_id: str
    progress: float = Field(ge=0, le=100, description="Percent of the whole job")
    current_phase: str = Field(
        description="queued, loading, generation, initial generation, upscaling, preparing, training, "
        "saving, error or cancelled"
    )
    state: State
    error: str | None


class PreviewedStatus(QueueStatus):
    """Of `preview=1`, while the job has not ended."""

    preview: str | None = Field(
        description="What the picture looks like so far: a JPEG of its size as base64; null: nothing yet"
    )


class LearningStatus(QueueStatus):
    """A training that has begun to learn and has not ended."""

    step: int
    steps: int
    loss: float = Field(description="Of the last step")


class InEnglish(BaseModel):
    prompt: str
    negative_prompt: str


def _absent(value: object) -> bool:
    return value is None


class Sampling(BaseModel):
    """How the picture was really sampled."""

    sampler_name: str
    scheduler_type: str = Field(description="The one that ran; own: the sampler's own noise levels")
    steps: int = Field(description="Steps that were made")
    hires_steps: int | None = Field(description="Steps of the second pass; null without one")
    seed: int
    notices: list[str] = Field(description="Sentences on what differs from the request")
    translated: InEnglish | None = Field(
        None, description="What was painted, where that had to be translated", exclude_if=_absent
    )
    flagged: bool | None = Field(
        None, description="A safety checker has looked: did it object?", exclude_if=_absent
    )


class EnlargedStatus(QueueStatus):
    """A finished job that made a given picture larger. It is forgotten with this answer."""

    payload: dict[str, Any] = Field(description="The request as it was understood")
    image: str = Field(description="The file of the picture as base64")
    output_path: str = Field(description="Where the server keeps the picture")
    width: int
    height: int
    file_type: FileType
    jpeg_quality: int | None = Field(description="null for a PNG")
    generation_time_sec: float
    memory_before_mb: float
    memory_after_mb: float


class FinishedStatus(EnlargedStatus):
    """A finished job. It is forgotten with this answer; its picture stays in `outputs`."""

    seed: int = Field(description="The seed that was used")
    sampling: Sampling | None = Field(
        description="How it was really sampled; null for a job of a version that did not keep it"
    )


class LearntStatus(QueueStatus):
    """A finished training. It is forgotten with this answer; its LoRA stays."""

    payload: dict[str, Any] = Field(description="The request as it was understood")
    lora: str = Field(description="What requests name it by")
    output_path: str = Field(description="Where the server keeps it")
    model: str = Field(description="What it was learnt on, and is for")
    steps: int
    loss: float = Field(description="The mean of the last tenth of the steps")
    training_time_sec: float
    notices: list[str] = Field(description="Sentences on what may be otherwise than it was meant")


class QueueEntry(BaseModel):
    job_id: str
    kind: Mode | None = Field(description="What it is to do; null if its record is damaged")
    state: State
    current_phase: str
    progress: float
    position: int | None = Field(description="Place in the line, 1 is next; null for a running job")
    waiting_time_sec: float = Field(description="Seconds from its acceptance until it started, or until now")


class QueueListing(BaseModel):
    """Jobs that came by this API; others are in the same line and not shown."""

    status: Literal["success"] = "success"
    running: list[QueueEntry]
    waiting: list[QueueEntry] = Field(description="Those among the first `limit` of the line")
    waiting_total: int = Field(description="All that wait, of all APIs")


class CancelResponse(BaseModel):
    status: Literal["success"] = "success"
    job_id: str
    state: Literal["cancelled", "cancelling"] = Field(
        description="cancelling: it runs, and stops within a step"
    )
