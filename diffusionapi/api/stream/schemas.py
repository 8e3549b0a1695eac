"""What goes over the wire of the streaming dialect: the request, and the frames that echo it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, Strict, ValidationError, field_validator

from diffusionapi.api.validation import as_refusal
from diffusionapi.errors import BadJson, BadRequest, Error

SIZES = ((256, 256), (512, 512), (1024, 1024), (2048, 2048))
_LARGEST = 2**16
"""Of a message, since every frame echoes it."""
_SAID = ", ".join(f"[{width}, {height}]" for width, height in SIZES)


def _whole(value: object) -> object:
    """JSON has one kind of number, so 10.0 is 10; true and "10" are no numbers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, Strict(), BeforeValidator(_whole)]


class StreamRequest(BaseModel):
    """Fields that it does not know are ignored, and not echoed."""

    prompt: str
    negative_prompt: str | None = None
    image_size: list[Whole] = [512, 512]
    steps: Whole = Field(100, ge=1, le=500)
    guidance_scale: Annotated[float, Strict()] = Field(7.0, ge=0, le=50, allow_inf_nan=False)

    @field_validator("prompt")
    @classmethod
    def _says_something(cls, prompt: str) -> str:
        if not prompt.strip():
            raise ValueError("must not be empty")
        return prompt

    @field_validator("image_size")
    @classmethod
    def _is_one_of_the_sizes(cls, size: list[int]) -> list[int]:
        if tuple(size) not in SIZES:
            raise ValueError(f"must be one of {_SAID}")
        return size

    @property
    def size(self) -> tuple[int, int]:
        width, height = self.image_size
        return width, height

    def echo(self) -> str:
        """As JSON, with its defaults, and without the negative prompt that was not given."""
        return self.model_dump_json(exclude_none=True)


def read(message: str | bytes, max_side: int) -> StreamRequest:
    """A client's first message; an error that says what is wrong with it."""
    if len(message) > _LARGEST:
        raise BadJson(f"The message is larger than {_LARGEST // 1024} KiB")
    try:
        asked = StreamRequest.model_validate_json(message)
    except ValidationError as error:
        raise _refusal(error) from error
    if max(asked.size) > max_side:
        raise BadRequest("image_size", f"at most {max_side} a side on this server (MAX_SIDE)")
    return asked


def _refusal(error: ValidationError) -> Error:
    problems = error.errors(include_url=False)
    if problems[0]["type"] == "json_invalid":
        return BadJson(f"The message is not JSON: {problems[0]['ctx']['error']}")
    if not problems[0]["loc"]:
        return BadJson("The message must be a JSON object")
    return as_refusal(problems, inside=0)


def frame(image: str, step: int, echo: str, *, completed: bool) -> str:
    """A message of four keys, in the documented order. Put together by hand, since an image has megabytes."""
    return (
        f'{{"image":"{image}","step":{step},"completed":{"true" if completed else "false"},"request":{echo}}}'
    )
