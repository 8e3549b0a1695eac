"""What pydantic found wrong, said as a person would: the field, the problem, what would be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.errors import BadJson, BadRequest, Error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def as_refusal(problems: Sequence[Any], *, inside: int = 1) -> Error:
    """All that is wrong with a request in one error; its field is the first wrong one.

    `inside` is how many parts of a problem's place say where the request came from ("body", "query").
    """
    first = problems[0]
    if first["type"] == "json_invalid":
        return BadJson(f"The body is not valid JSON: {first['ctx']['error']} at position {first['loc'][-1]}")
    sentences = [(_field(one["loc"][inside:]), _problem(one)) for one in problems]
    field, problem = sentences[0]
    rest = "".join(f"; {other}: {said}" for other, said in sentences[1:])
    return BadRequest(field, problem + rest)


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
    message = str(problem["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    value = problem.get("input")
    if problem["type"] == "missing":
        return "is required"
    if isinstance(value, str | int | float | bool):
        shown = repr(value)
        return f"{message}, got {shown if len(shown) <= 60 else shown[:57] + '...'}"
    return message
