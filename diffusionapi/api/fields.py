"""Fields that bodies of several dialects are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, model_validator


def no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


Int = Annotated[int, BeforeValidator(no_bool)]
Float = Annotated[float, BeforeValidator(no_bool), Field(allow_inf_nan=False)]


class RequestModel(BaseModel):
    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, body: object) -> object:
        """Clients fill forms with nulls for what they leave open."""
        if isinstance(body, dict):
            return {name: value for name, value in body.items() if value is not None}
        return body
