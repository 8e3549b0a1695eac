"""Bodies and answers of what is done to single pictures, and of what models are asked to be there."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from diffusionapi.api.v3.fields import Flag, V3Model

_NO_EFFECT = "Has no effect; default: none"


class Crop(V3Model):
    image: str = Field(description="A picture as data URL, base64 or URL")
    crop: Flag = Field(False, description="Cut it to the square in its middle, of 512 pixels a side")


class Cropped(BaseModel):
    status: Literal["success"] = Field("success", description="`success`")
    messege: str = Field("image uploaded", description="`image uploaded`")
    message: str = Field("image uploaded", description="The same")
    link: str = Field(description="Where the picture is, for UPLOAD_TTL of the server after its last use")


class Deletion(V3Model):
    image: str | None = Field(
        None, description="A picture by its name, or its URL; default: none, see `request_id`"
    )
    request_id: Annotated[str | int, WithJsonSchema({"type": "string"})] | None = Field(
        None,
        description="The `id` of a request: all its pictures are deleted, or it is taken back while it "
        "is not over; default: none",
    )


class Check(V3Model):
    init_image: str = Field(description="The picture: a URL, a data URL or base64")


class Checked(BaseModel):
    images: str = Field(description="Where the picture is")
    has_nsfw_concept: list[bool] = Field(description="Does the safety checker object to it?")


class LoadModel(V3Model):
    model_id: str | None = Field(None, description="What is to be there; default: none, which is refused")
    model_category: Literal[
        "stable_diffusion", "stable_diffusion_xl", "controlnet", "lora", "embeddings", "vae"
    ] = Field("stable_diffusion", description="What it is")
    url: str | None = Field(None, description=_NO_EFFECT)
    force_load: Flag = Field(False, description="Has no effect")
    model_format: str | None = Field(None, description=_NO_EFFECT)
    revision: str | None = Field(None, description=_NO_EFFECT)
    model_visibility: str | None = Field(None, description=_NO_EFFECT)
    model_name: str | None = Field(None, description=_NO_EFFECT)
    model_image: str | None = Field(None, description=_NO_EFFECT)
    hf_upload: Flag = Field(False, description="Has no effect")


_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
CROP_EXAMPLE: dict[str, Any] = {
    "key": "5f0c4d1e…",
    "image": f"data:image/png;base64,{_PIXEL}",
    "crop": "true",
}
DELETION_EXAMPLE: dict[str, Any] = {"key": "5f0c4d1e…", "request_id": "102"}
CHECK_EXAMPLE: dict[str, Any] = {"key": "5f0c4d1e…", "init_image": "https://example.com/lighthouse.png"}
LOAD_EXAMPLE: dict[str, Any] = {
    "key": "5f0c4d1e…",
    "url": "https://huggingface.co/org/name",
    "model_id": "picturebook",
    "model_category": "stable_diffusion",
}
