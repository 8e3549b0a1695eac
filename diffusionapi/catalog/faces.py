"""What restores faces: a network that paints them anew, and another one that finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_RESTORERS = (".pth", ".safetensors")
_DETECTOR = "face_detection_yunet*.onnx"


def find(folder: Path) -> tuple[Path, Path] | None:
    """The files of restorer and detector, if both are there; of several the first by name."""
    restorer, detector = _restorer(folder), _detector(folder)
    return (restorer, detector) if restorer and detector else None


def missing(folder: Path, shown: str) -> str | None:
    """What is not there, for people."""
    if _restorer(folder) is None:
        return f"faces cannot be restored: no restorer, such as GFPGANv1.4.pth, is in {shown}"
    if _detector(folder) is None:
        return (
            f"faces cannot be restored: what finds them, face_detection_yunet_2023mar.onnx, is not in {shown}"
        )
    return None


def _restorer(folder: Path) -> Path | None:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return next((one for one in files if one.suffix in _RESTORERS and one.is_file()), None)


def _detector(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob(_DETECTOR))), None)
