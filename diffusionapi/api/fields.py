"""Fields that bodies of several dialects are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, ValidatorFunctionWrapHandler

_OUT_OF_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


@dataclass(frozen=True, slots=True)
class Number:
    """`Annotated[int, Field(ge=1, le=4), Number()]`: neither true nor false, and of one that is out of its
    bounds both are told."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        inner = handler(source)
        bounds = _said(inner.get("ge"), inner.get("gt"), inner.get("le"))
        if bounds is not None:
            inner = core_schema.no_info_wrap_validator_function(partial(_within, bounds), inner)
        return core_schema.no_info_before_validator_function(no_bool, inner)


def _said(least: float | None, above: float | None, most: float | None) -> str | None:
    """Both ends; None of what has one at most, which the framework says well."""
    if most is None or (least is None and above is None):
        return None
    return (
        f"from {least:.10g} to {most:.10g}" if above is None else f"above {above:.10g}, {most:.10g} at most"
    )


def _within(bounds: str, value: object, handler: ValidatorFunctionWrapHandler) -> object:
    try:
        return handler(value)
    except ValidationError as error:
        kind = error.errors()[0]["type"]
        if kind not in _OUT_OF_BOUNDS:
            raise
        raise PydanticCustomError("bounds", "Input should be {bounds}", {"bounds": bounds}) from error


Int = Annotated[int, Number()]
Float = Annotated[float, Field(allow_inf_nan=False), Number()]


class RequestModel(BaseModel):
    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, body: object) -> object:
        """Clients fill forms with nulls for what they leave open."""
        if isinstance(body, dict):
            return {name: value for name, value in body.items() if value is not None}
        return body
