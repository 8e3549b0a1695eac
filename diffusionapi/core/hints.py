"""What can be read from a picture for a ControlNet, by name."""

from __future__ import annotations

HINTS = (
    "none",
    "canny",
    "depth",
    "hed",
    "softedge",
    "mlsd",
    "normal",
    "openpose",
    "scribble",
    "segmentation",
    "lineart",
    "shuffle",
    "tile",
    "inpaint",
)
"""`none` takes the picture as it is; `inpaint` blots out what the mask shows."""
