"""What every route of the v3 dialect may answer when it does not do what it was asked for."""

from __future__ import annotations

from pydantic import BaseModel, Field


class V3Refused(BaseModel):
    status: str = Field(description="`error`")
    message: str | dict[str, list[str]] = Field(
        description="What is wrong; of fields that are wrong, an object: field -> sentences"
    )
    messege: str | None = Field(
        None,
        description="The same; where clients look for it under this name",
        exclude_if=lambda one: one is None,
    )
    tip: str | None = Field(None, description="What would be right", exclude_if=lambda one: one is None)
    tips: str | None = Field(None, description="When to try again", exclude_if=lambda one: one is None)


class FailedAnswer(BaseModel):
    status: str = Field("failed", description="`failed`")
    id: str = Field("", description="Empty")
    message: str = Field("Failed, Try Again", description="What happened")
    output: str = Field("", description="Empty")
    tip: str | None = Field(None, description="Why it failed", exclude_if=lambda one: one is None)
