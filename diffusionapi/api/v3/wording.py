"""What the framework found wrong with fields, in the words that clients of this API know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffusionapi.api.v3.fields import BOUNDS, FLAG
from diffusionapi.api.validation import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

_RIGHT = {
    "missing": "The {field} field is required.",
    "too_short": "The {field} field is required.",
    "int_parsing_size": "The {field} is far too large.",
    "int": "The {field} must be an integer.",
    "float": "The {field} must be a number.",
    "finite": "The {field} must be a number.",
    "string_type": "The {field} must be a string.",
    "list": "The {field} must be an array.",
    FLAG: "The {field} must be yes or no.",
}
"""By how the type of a problem begins; other problems say what is right themselves."""


def sentences(problems: Iterable[Any]) -> dict[str, list[str]]:
    """Field -> what is wrong with it, of all fields at once."""
    found: dict[str, list[str]] = {}
    for one in problems:
        place = [part for part in one["loc"] if part != "body"]
        name = next((part for part in place if isinstance(part, str)), "body")
        found.setdefault(name, []).append(_sentence(name, one))
    return {name: list(dict.fromkeys(said)) for name, said in found.items()}


def _sentence(name: str, problem: dict[str, Any]) -> str:
    field, kind = name.replace("_", " "), str(problem["type"])
    if kind == BOUNDS:
        return f"The {field} must be between {problem['ctx']['low']} and {problem['ctx']['high']}."
    if kind == "too_long":
        return f"The {field} must have at most {problem['ctx']['max_length']} items."
    for start, said in _RIGHT.items():
        if kind.startswith(start):
            return said.format(field=field)
    said = str(problem["msg"]).removeprefix("Value error, ").replace("Input should ", "must ")
    return f"The {field} {said[:1].lower()}{said[1:]}."


def wrong(field: str, problem: str) -> Refusal:
    """As if the framework had found it."""
    return Refusal(field, problem, [{"loc": ("body", field), "type": "value_error", "msg": problem}])


def missing(field: str) -> Refusal:
    """As if the framework had found that a required field is not there."""
    return Refusal(field, "is required", [{"loc": ("body", field), "type": "missing"}])
