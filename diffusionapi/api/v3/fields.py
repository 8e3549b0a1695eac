"""What the fields of bodies are made of: flags, numbers within bounds, lists in one string."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError, core_schema

from diffusionapi.api.fields import no_bool

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

YES = ("yes", "true", "1", "on")
_NO = ("no", "false", "0", "off")
NONE = ("no", "none", "false", "0")
"""What people write where a name could stand."""
_NO_NUMBER = ("", "no", "none", "null")

# The types that the errors of ours go by, which `face` has words for.
BOUNDS, FLAG = "bounds", "flag"
NAMES, NUMBERS = "names", "numbers"


class V3Model(BaseModel):
    """A body. What is empty or null was taken out of it before; fields it does not know are ignored."""

    model_config = ConfigDict(validate_default=True, protected_namespaces=())

    key: str = Field(description="An API key of this server")


class KeyOnly(V3Model):
    pass


def _flag(value: object) -> object:
    if isinstance(value, bool):
        return value
    said = str(value).strip().lower() if isinstance(value, str | int | float) else ""
    if said in YES or said in _NO:
        return said in YES
    raise PydanticCustomError(FLAG, "must be yes or no")


Flag = Annotated[
    bool,
    BeforeValidator(_flag),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string", "enum": ["yes", "no"]}]}),
]
"""`yes` or `no`, or what else people write for it."""


@dataclass(frozen=True, slots=True)
class Between:
    """`Annotated[int, Between(64, 1024)]`: of what is out of bounds, both are said."""

    low: float
    high: float

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(
            no_bool, core_schema.no_info_after_validator_function(self._checked, handler(source))
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "minimum": self.low, "maximum": self.high}

    def _checked(self, value: float) -> float:
        if self.low <= value <= self.high:
            return value
        raise PydanticCustomError(
            BOUNDS,
            "must be between {low} and {high}",
            {"low": f"{self.low:.10g}", "high": f"{self.high:.10g}"},
        )


def _names(value: object) -> object:
    """`"a, b"`, or a list of them."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        raise PydanticCustomError(NAMES, "must be a name, or several with commas between them")
    named = [one.strip() if isinstance(one, str) else one for one in parts]
    return [one for one in named if str("" if one is None else one).lower() not in ("", *NONE)]


Names = Annotated[
    list[str], BeforeValidator(_names), WithJsonSchema({"items": {"type": "string"}}), Field(max_length=32)
]
"""Names with commas between them; "no", "none" and "null" name nothing."""


def _numbers(value: object) -> object:
    """`"0.45,0.55"`, one number, or a list of them."""
    if isinstance(value, str):
        return [one for one in map(str.strip, value.split(",")) if one.lower() not in _NO_NUMBER]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [value]
    if isinstance(value, list):
        return value
    raise PydanticCustomError(NUMBERS, "must be a number, or several with commas between them")


def _numbers_within(low: float, high: float) -> dict[str, Any]:
    one = {"type": "number", "minimum": low, "maximum": high}
    return {"anyOf": [{"type": "string"}, one, {"type": "array", "items": one}]}


Number = Annotated[float, Field(allow_inf_nan=False)]
Strengths = Annotated[
    list[Annotated[Number, Between(-10, 10)]],
    BeforeValidator(_numbers),
    WithJsonSchema(_numbers_within(-10, 10)),
    Field(max_length=32),
]
"""Numbers with commas between them, or one alone."""
Scales = Annotated[
    list[Annotated[Number, Between(0.1, 5)]],
    BeforeValidator(_numbers),
    WithJsonSchema(_numbers_within(0.1, 5)),
    Field(max_length=32),
]


def _name(value: object) -> object:
    if isinstance(value, str):
        return None if value.strip().lower() in NONE else value.strip()
    return value


Name = Annotated[str | None, BeforeValidator(_name)]
"""One name, or none."""
