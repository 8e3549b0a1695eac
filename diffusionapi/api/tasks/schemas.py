"""What goes over the wire of the task dialect, field by field and in its order."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Scheduler = Literal["plms", "ddim", "k-lms"]
Kind = Literal["txt2img", "img2img", "inpaint"]
MAX_SEED = 2**63 - 1

TEXT_MODEL = "CompVis/stable-diffusion-v1-4"
INPAINT_MODEL = "runwayml/stable-diffusion-inpainting"

_MODEL = (
    "A model's name, `org/name`, label, or folder. When this default is not installed, the server's own "
    "takes its place, and `parameters_used` says so"
)
_PICTURE = "URL (http, https or data) of a PNG, JPEG or WebP; `POST /blob` gives one to a file"


class Parameters(BaseModel):
    """What all three have, in the order of the wire: a subclass that says a field again leaves it there."""

    params_type: Kind
    model: str = Field(TEXT_MODEL, description=_MODEL)
    prompt: str = Field(description="What the picture shows")
    negative_prompt: str | None = Field(None, description="What it should not show; default: nothing")
    steps: int = Field(20, ge=1, le=1000, description="Sampling steps")
    guidance: float = Field(
        7.5, ge=1, le=100, allow_inf_nan=False, description="How closely it follows the prompt; 1: not"
    )
    scheduler: Scheduler = Field("plms", description="Sampler")
    safety_filter: bool = Field(True, description="Have a safety checker look at it, if one is installed")
    seed: int | None = Field(
        None, ge=0, le=MAX_SEED, description="The same seed gives the same picture; default: one is drawn"
    )


class Txt2ImgQuery(Parameters):
    params_type: Literal["txt2img"] = Field("txt2img", description="What these parameters are of")
    width: int = Field(
        512, ge=8, le=16384, multiple_of=8, description="Pixels; MAX_SIDE of the server at most"
    )
    height: int = Field(
        512, ge=8, le=16384, multiple_of=8, description="Pixels; MAX_SIDE of the server at most"
    )


class Img2ImgQuery(Parameters):
    params_type: Literal["img2img"] = Field("img2img", description="What these parameters are of")
    initial_image: str = Field(description=_PICTURE)
    strength: float = Field(
        0.8, ge=0, le=1, allow_inf_nan=False, description="How much of the picture may change"
    )


class InpaintQuery(Parameters):
    params_type: Literal["inpaint"] = Field("inpaint", description="What these parameters are of")
    model: str = Field(INPAINT_MODEL, description=_MODEL)
    initial_image: str = Field(description=_PICTURE)
    mask: str = Field(description="URL of a picture: its white is painted anew, its black is kept")


class Txt2ImgParams(Txt2ImgQuery):
    model_config = ConfigDict(extra="forbid")


class Img2ImgParams(Img2ImgQuery):
    model_config = ConfigDict(extra="forbid")


class InpaintParams(InpaintQuery):
    model_config = ConfigDict(extra="forbid")


def _kind(given: Any) -> str:
    """What parameters without `params_type` are of: unknown keys are refused, so their shape decides."""
    if not isinstance(given, dict):
        return str(getattr(given, "params_type", "txt2img"))
    if "params_type" in given:
        return str(given["params_type"])
    if "mask" in given:
        return "inpaint"
    return "img2img" if "initial_image" in given or "strength" in given else "txt2img"


AnyParams = Annotated[
    Annotated[Txt2ImgParams, Tag("txt2img")]
    | Annotated[Img2ImgParams, Tag("img2img")]
    | Annotated[InpaintParams, Tag("inpaint")],
    Discriminator(_kind),
]

_PICTURE_URL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAgMAAADXB5lNAAAACVBMVEX63HhaltwobjKUqKIqAAAAXElEQVR4"
    "2uXRsQ2AMAxE0W/kATJSRqBhSwpG8EjpiWTqo0iFIBIunyzdWbYNnYXP4dxvcGQIJDSBDl2gQY5TAoinq1eg"
    "DjcKmICDCxgUTVmtgk34qBfB/33+tHABRWEOJ6egfhUAAAAASUVORK5CYII="
)
"""A sun over a hill, 64 by 64 pixels."""
_MASK_URL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQAAAACCEkxzAAAAXUlEQVR42u3PMQ5EYBRF4c8jobSDmaVYip3Y"
    "mqVYglIhTDFEfhVqpzo5yS0uVynHTT6zAG0uB70sIKMJCL6xDwMK6rRUVGm5JRNTWmbGtCwMASv9v3fr8eL0"
    "6+UBPw50DvDJPrm7AAAAAElFTkSuQmCC"
)
"""The sun."""

TXT2IMG_EXAMPLE: dict[str, Any] = {"params_type": "txt2img", "prompt": "corgi with a top hat", "steps": 20}
IMG2IMG_EXAMPLE: dict[str, Any] = {
    "params_type": "img2img",
    "prompt": "corgi with a top hat",
    "initial_image": _PICTURE_URL,
    "strength": 0.6,
}
INPAINT_EXAMPLE: dict[str, Any] = {
    "params_type": "inpaint",
    "prompt": "a red moon",
    "initial_image": _PICTURE_URL,
    "mask": _MASK_URL,
}


class GeneratedBlob(BaseModel):
    blob_url: str = Field(description="Where the picture is, for JOB_TTL of the server; a PNG")
    parameters_used: Txt2ImgParams | Img2ImgParams | InpaintParams = Field(
        description="All parameters, with the seed and the model that were used"
    )


class PendingEvent(BaseModel):
    event_type: Literal["pending"] = "pending"
    task_id: str


class StartedEvent(BaseModel):
    event_type: Literal["started"] = "started"
    task_id: str


class FinishedEvent(BaseModel):
    event_type: Literal["finished"] = "finished"
    task_id: str
    result: GeneratedBlob


class AbortedEvent(BaseModel):
    event_type: Literal["aborted"] = "aborted"
    task_id: str
    reason: str


TaskEvent = PendingEvent | StartedEvent | FinishedEvent | AbortedEvent


class AuthToken(BaseModel):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the kind, not a secret


class User(BaseModel):
    username: str


class Refused(BaseModel):
    detail: str = Field(description="What went wrong")


class Problem(BaseModel):
    loc: list[str | int] = Field(description="Where the wrong value was: body or query, then the field")
    msg: str
    type: str


class Invalid(BaseModel):
    detail: list[Problem]
