"""What pydantic found wrong, said as a person would: the field, the problem, what would be right."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from diffusionapi.errors import BadJson, BadRequest, Error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Refusal(BadRequest):
    """A bad request with all that the framework found, for dialects that list it."""

    def __init__(self, field: str, problem: str, problems: Sequence[Any]) -> None:
        super().__init__(field, problem)
        self.problems = tuple(problems)


class UnreadableJson(BadJson):
    def __init__(self, sentence: str, problems: Sequence[Any]) -> None:
        super().__init__(sentence)
        self.problems = tuple(problems)


_SEND = """send JSON, as in -d '{"prompt": "…"}'"""
_RIGHT = {
    "int_parsing_size": "is far too large",
    "int": "must be a whole number",
    "float": "must be a number",
    "finite": "must be a number",
    "string_type": "must be a string",
    "bool": "must be true or false",
    "list": "must be a list",
    "dict": "must be an object",
    "model": "must be an object",
}
"""What would be right, by how the type of a problem begins; other problems say it themselves."""


def as_refusal(problems: Sequence[Any], *, inside: int = 1) -> Error:
    """All that is wrong with a request in one error; its field is the first wrong one.

    `inside` is how many parts of a problem's place say where the request came from ("body", "query").
    """
    first = problems[0]
    if first["type"] == "json_invalid":
        return UnreadableJson(
            f"The body is not valid JSON: {first['ctx']['error']} at position {first['loc'][-1]}; {_SEND}",
            problems,
        )
    sentences = [(_field(one["loc"][inside:]), _problem(one)) for one in problems]
    field, problem = sentences[0]
    rest = "".join(f"; {other}: {said}" for other, said in sentences[1:])
    return Refusal(field, problem + rest, problems)


def _field(location: Sequence[str | int]) -> str:
    """`("loras", 0, "scale")` as a client writes it: `loras[0].scale`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part and not part.startswith("function-") and part not in ("str", "LoraUse"):
            path += f".{part}" if path else part
    return path or "body"


def _problem(problem: dict[str, Any]) -> str:
    value, kind = problem.get("input"), str(problem["type"])
    if tuple(problem["loc"]) == ("body",) and kind.startswith(("missing", "model", "dict")):
        return "must be a JSON object"
    if kind == "missing":
        return "is required"
    if kind == "too_long":
        most, given = problem["ctx"]["max_length"], problem["ctx"]["actual_length"]
        return f"must have at most {most} items, got {given}"
    message = str(problem["msg"]).removeprefix("Value error, ").replace("Input should ", "must ")
    message = next((right for start, right in _RIGHT.items() if kind.startswith(start)), message)
    message = message[:1].lower() + message[1:]
    if isinstance(value, str | int | float | bool):
        shown = repr(value) if isinstance(value, str) else json.dumps(value)
        return f"{message}, got {shown if len(shown) <= 60 else shown[:57] + '...'}"
    return message
