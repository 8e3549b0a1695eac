"""What goes over the wire for pictures that begin with a picture, and for what a picture says of itself."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from diffusionapi.api.fields import Float, Int, Number, RequestModel
from diffusionapi.api.primary.schemas import PICTURE, TXT2IMG_EXAMPLE, Side, Txt2ImgRequest
from diffusionapi.errors import BadRequest

ResizeMode = Literal["just resize", "crop and resize", "resize and fill"]
MaskedContent = Literal["fill", "original", "latent noise", "latent nothing"]
InpaintArea = Literal["whole picture", "only masked"]

_RESIZE_MODES = ("just resize", "crop and resize", "resize and fill")
_MASKED_CONTENTS = ("fill", "original", "latent noise", "latent nothing")
_AREAS = ("whole picture", "only masked")


class MissingField(BadRequest):
    """A field without which there is nothing to do."""

    code = "missing_field"
    status = 400

    def __init__(self, field: str) -> None:
        super().__init__(field, "is required")
        self.sentence = f"{field.capitalize()} field is required"


def _one_of(names: tuple[str, ...]) -> BeforeValidator:
    """A name in any case, or its number in AUTOMATIC1111's API (for two of them true and false)."""
    numbers = {str(number): name for number, name in enumerate(names)}

    def named(value: object) -> object:
        if isinstance(value, bool):
            return names[value] if len(names) == 2 else value
        if isinstance(value, int | str):
            text = str(value).strip().lower()
            return numbers.get(text, text)
        return value

    return BeforeValidator(named)


class Size(RequestModel):
    width: Side = Field(description="Pixels, rounded to a multiple of 8; at most MAX_SIDE of the server")
    height: Side = Field(description="Pixels, rounded to a multiple of 8; at most MAX_SIDE of the server")


Factor = Annotated[float, Field(gt=0, le=16, allow_inf_nan=False), Number()]


class Factors(RequestModel):
    width: Factor = Field(description="Times the width of the given picture")
    height: Factor = Field(description="Times the height of the given picture")


def _factors(value: object) -> object:
    return {"width": value, "height": value} if isinstance(value, int | float | str) else value


class Img2ImgRequest(Txt2ImgRequest):
    required: ClassVar[tuple[str, ...]] = ("image", "prompt")
    other_names: ClassVar[dict[str, str]] = {"resized_by": "resize_by"}

    image: str = Field(min_length=1, description=f"The picture to begin with, {PICTURE}")
    denoising_strength: Float = Field(
        0.75, ge=0, le=1, description="How much may change: 0 gives the picture back, 1 keeps nothing of it"
    )
    image_guidance_scale: Float = Field(
        1.8, ge=0, le=100, description="Has no effect: of instruct-pix2pix models, which are not supported"
    )
    resize_mode: Annotated[ResizeMode, _one_of(_RESIZE_MODES)] = Field(
        "just resize",
        description="How the picture comes to the new shape: squeezed, cut, or with its edges drawn out",
    )
    resize_to: Size | None = Field(None, description="The new size; default: width and height")
    resize_by: Annotated[
        Factors | None, BeforeValidator(_factors, json_schema_input_type=Factors | Factor | None)
    ] = Field(
        None,
        description="The new size in terms of the given picture's, a number for both sides; "
        "also named `resized_by`; default: width and height",
    )

    @model_validator(mode="before")
    @classmethod
    def _is_complete(cls, body: object) -> object:
        if isinstance(body, dict):
            for field in cls.required:
                if body.get(field) in (None, ""):
                    raise MissingField(field)
        return body

    @model_validator(mode="before")
    @classmethod
    def _has_one_name_each(cls, body: object) -> object:
        if not isinstance(body, dict):
            return body
        renamed = {name: value for name, value in body.items() if name not in cls.other_names}
        for other, name in cls.other_names.items():
            if body.get(other) is None:
                continue
            if renamed.get(name) not in (None, body[other]):
                raise BadRequest(other, f"is another name of {name}; give one of the two")
            renamed[name] = body[other]
        return renamed

    @model_validator(mode="after")
    def _goes_together(self) -> Img2ImgRequest:
        if self.hires and self.hires.enabled:
            raise BadRequest(
                "hires",
                "a picture that begins with a picture has no second pass; use resize_by or leave it out",
            )
        if self.resize_to and self.resize_by:
            raise BadRequest("resize_to", "says another size than resize_by; give one of the two")
        return self


class InpaintRequest(Img2ImgRequest):
    required = ("image", "prompt", "mask")
    other_names: ClassVar[dict[str, str]] = Img2ImgRequest.other_names | {
        "inpainting_mask_invert": "mask_invert",
        "inpaint_full_res": "inpaint_area",
    }

    mask: str = Field(
        min_length=1, description=f"What is painted anew (white) and what is kept (black), {PICTURE}"
    )
    mask_blur: Float = Field(4.0, ge=0, le=256, description="Of the mask's edge, in pixels of the result")
    mask_invert: bool = Field(False, description="Paint what is black; also named `inpainting_mask_invert`")
    inpainting_fill: Annotated[MaskedContent, _one_of(_MASKED_CONTENTS)] = Field(
        "original",
        description="What the masked part begins with: its blurred surroundings, itself, noise, or nothing",
    )
    inpaint_area: Annotated[InpaintArea, _one_of(_AREAS)] = Field(
        "whole picture",
        description="`only masked` paints the masked part at the full size and sets it back; "
        "also `inpaint_full_res`: true or false",
    )
    inpaint_full_res_padding: Int = Field(
        32, ge=0, le=1024, description="Pixels around the masked part that are painted with it (only masked)"
    )

    @model_validator(mode="after")
    def _edges_can_fit(self) -> InpaintRequest:
        if self.inpaint_area == "only masked" and self.tiling != "none":
            raise BadRequest(
                "tiling", "the masked part alone has no edges that could fit; paint the whole, or do not tile"
            )
        return self


class GivenPicture(RequestModel):
    image: str = Field(min_length=1, description=f"A PNG, JPEG or WebP, {PICTURE}")

    @model_validator(mode="before")
    @classmethod
    def _is_complete(cls, body: object) -> object:
        if isinstance(body, dict) and body.get("image") in (None, ""):
            raise MissingField("image")
        return body


class ImgInfoRequest(GivenPicture):
    pass


class ImgInfoResponse(BaseModel):
    status: Literal["success"] = "success"
    info: str = Field(description="The settings as they stand in the file; empty when there are none")
    items: dict[str, str] = Field(description="Other texts in the file")
    parameters: dict[str, int | float | str] = Field(
        description="The settings one by one, under AUTOMATIC1111's names; `prompt` and `negative_prompt`"
    )
    request: dict[str, Any] = Field(
        description="The settings as fields of `POST /txt2img`, as far as this server knows them"
    )


SUN_OVER_A_HILL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAgMAAABinRfyAAAADFBMVEVajNL6yFAoWjIAAACPiu"
    "H9AAAALklEQVR42mXKsRUAEADE0O+eAYxkXtMZQKGhIUWahIfSRW2iVYGYS6x5hsENvzbIUQUBcvHqXQAAAABJRU5ErkJggg"
    "=="
)
THE_SUN = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAQAAAAA3iMLMAAAAKUlEQVR42mNgYGBgPsDEosDEIc"
    "AkwMHEwMDEwMD04QfTjw9Mfx4wYAAAryAG1FKZePAAAAAASUVORK5CYII="
)
IMG2IMG_EXAMPLE: dict[str, Any] = TXT2IMG_EXAMPLE | {
    "image": SUN_OVER_A_HILL,
    "denoising_strength": 0.6,
    "resize_mode": "crop and resize",
}
INPAINT_EXAMPLE: dict[str, Any] = IMG2IMG_EXAMPLE | {
    "mask": THE_SUN,
    "mask_blur": 4,
    "inpainting_fill": "original",
    "inpaint_area": "whole picture",
}
IMG_INFO_EXAMPLE: dict[str, Any] = {"image": SUN_OVER_A_HILL}
