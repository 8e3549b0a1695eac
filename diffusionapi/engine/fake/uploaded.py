"""Pictures that clients gave, opened."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal

from PIL import Image

if TYPE_CHECKING:
    from diffusionapi.blobs.uploads import Uploads


def uploaded(name: str, uploads: Uploads, mode: Literal["L", "RGB"]) -> Image.Image:
    """UnknownPicture if it is gone."""
    return Image.open(io.BytesIO(uploads.get(name))).convert(mode)
