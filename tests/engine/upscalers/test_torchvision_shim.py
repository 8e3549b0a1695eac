from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

SHIM = "from diffusionapi.engine.upscalers import torchvision_shim; "
DESCRIBES_OPERATORS = """
import torch
for name in ("nms", "qnms"):
    torch.library.register_fake(f"torchvision::{name}")(lambda *_: None)
"""
DEFINES_OPERATORS = """
import torch
library = torch.library.Library("torchvision", "DEF")
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


def python(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )


def a_torchvision(folder: Path, init: str, library: bytes) -> Path:
    package = folder / "torchvision"
    (package / "transforms").mkdir(parents=True)
    (package / "__init__.py").write_text(init)
    (package / "_C.so").write_bytes(library)
    (package / "transforms" / "__init__.py").touch()
    (package / "transforms" / "functional.py").write_text("InterpolationMode = rotate = normalize = None")
    return folder


def a_loadable_library() -> bytes:
    return next(Path(torch.__file__).parent.glob("lib/libtorch_global_deps.*")).read_bytes()


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed")
def test_where_torchvision_is_absent_spandrel_imports_and_nothing_is_left_behind(tmp_path: Path) -> None:
    done = python(
        SHIM + "import sys; spandrel = torchvision_shim.import_spandrel(); "
        "print(len(list(spandrel.MAIN_REGISTRY)), [name for name in sys.modules if 'torchvision' in name]); "
        "from transformers.utils import is_torchvision_available; print(is_torchvision_available())",
        tmp_path,
    )
    assert done.stderr == ""
    assert done.stdout.split("\n")[:2] == [
        "42 ['diffusionapi.engine.upscalers.torchvision_shim']",
        "False",
    ]


def test_a_torchvision_without_its_operators_gets_their_schemas(tmp_path: Path) -> None:
    folder = a_torchvision(tmp_path, DESCRIBES_OPERATORS, b"not for this machine")
    without = python("import torchvision", folder)
    assert "operator torchvision::nms does not exist" in without.stderr
    mended = python(SHIM + "torchvision_shim.mend(); torchvision_shim.mend(); import torchvision", folder)
    assert (mended.returncode, mended.stderr) == (0, "")
    spandrel = python(SHIM + "print(torchvision_shim.import_spandrel().__name__)", folder)
    assert (spandrel.stdout, spandrel.stderr) == ("spandrel\n", "")


def test_a_torchvision_whose_library_loads_is_left_alone(tmp_path: Path) -> None:
    folder = a_torchvision(tmp_path, DEFINES_OPERATORS, a_loadable_library())
    done = python(SHIM + "torchvision_shim.import_spandrel(); import torchvision; print('fine')", folder)
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr


def test_defining_the_schemas_beside_real_operators_would_fail(tmp_path: Path) -> None:
    """What the shim has to avoid: it is led to add what this package, with a bad library, defines itself."""
    folder = a_torchvision(tmp_path, DEFINES_OPERATORS, b"not for this machine")
    assert python(SHIM + "torchvision_shim.mend(); import torchvision", folder).returncode != 0


def test_without_spandrel_the_error_says_what_to_install(tmp_path: Path) -> None:
    shutil.copytree(a_torchvision(tmp_path / "unused", "", b""), tmp_path / "path")
    done = python(
        "import sys; sys.modules['spandrel'] = None\n"
        "from diffusionapi.engine.upscalers import torchvision_shim\n"
        "torchvision_shim.import_spandrel()",
        tmp_path,
    )
    assert "pip install --no-deps spandrel==" in done.stderr
