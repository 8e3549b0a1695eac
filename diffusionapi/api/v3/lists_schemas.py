"""Answers of lists, and of what is asked of models by name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Body
from pydantic import BaseModel, Field

from diffusionapi.api.v3.fields import KeyOnly, V3Model


class SystemLoad(BaseModel):
    queue_num: int = Field(description="Jobs that wait or run")
    queue_time: float = Field(description="Seconds until they have ended, roughly")
    status: Literal["ok"] = Field("ok", description="`ok`")


class ListedModel(BaseModel):
    model_id: str = Field(description="What requests name it by")
    status: Literal["model_ready"] = Field("model_ready", description="`model_ready`")
    created_at: str | None = Field(description="When it came here; null of what is built in")
    instance_prompt: str | None = Field(description="Of a training: what its pictures were said to show")
    model_name: str = Field(description="Its label, or its name")
    description: str = Field(description="What it is")
    screenshots: str = Field("", description="Empty; there are none")


class Schedulers(BaseModel):
    status: Literal["success"] = Field("success", description="`success`")
    message: str = Field("schedulers list", description="`schedulers list`")
    schedulers: list[str] = Field(description="What `scheduler` may be")


class ModelReload(V3Model):
    model_id: str | None = Field(None, description="The model; default: none, which is refused")


RELOAD_EXAMPLE: dict[str, Any] = {"key": "5f0c4d1e…", "model_id": "stable-diffusion-v1-5"}
OnlyKey = Annotated[
    KeyOnly, Body(openapi_examples={"key": {"summary": "A key", "value": {"key": "5f0c4d1e…"}}})
]


class Started(BaseModel):
    status: Literal["success"] = Field("success", description="`success`")
    message: str = Field(description="What was begun")


class Done(BaseModel):
    """That something was done, under both spellings."""

    status: Literal["success"] = Field("success", description="`success`")
    messege: str = Field(description="What was done")
    message: str = Field(description="The same")


def done(what: str) -> Done:
    return Done(messege=what, message=what)
