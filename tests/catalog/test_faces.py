from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.catalog.catalog import Catalog
from diffusionapi.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def test_a_restorer_and_a_detector_are_both_needed_and_the_missing_one_is_named(tmp_path: Path) -> None:
    house = Settings(data_dir=tmp_path)
    catalog, folder = Catalog(house), house.path(house.faces_dir)
    assert catalog.face_restorer() is None
    assert "GFPGANv1.4.pth, is in stable_diffusion/faces" in str(catalog.faces_missing())
    folder.mkdir(parents=True)
    (folder / "GFPGANv1.4.pth").touch()
    assert catalog.face_restorer() is None
    assert "face_detection_yunet_2023mar.onnx" in str(catalog.faces_missing())
    for detector in ("face_detection_yunet_2023mar_int8.onnx", "face_detection_yunet_2023mar.onnx"):
        (folder / detector).touch()
    assert catalog.face_restorer() == (
        folder / "GFPGANv1.4.pth",
        folder / "face_detection_yunet_2023mar.onnx",
    )
    assert catalog.faces_missing() is None
