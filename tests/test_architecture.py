"""The shape of the house: who may import whom, what the web process never loads, how large a file grows."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "diffusionapi"

BASE = {"errors", "settings", "files", "logs", "database", "places", "prometheus"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "places": set(),
    "prometheus": set(),
    "env_files": {"errors"},
    "settings": {"errors", "env_files", "places"},
    "files": {"errors"},
    "database": {"errors"},
    "net": set(),
    "logs": set(),
    "core": {"errors"},
    "jobs": BASE | {"core"},
    "blobs": BASE | {"core", "jobs"},
    "infotext": {"errors", "core"},
    "intake": BASE | {"core", "blobs", "net"},
    "records": BASE | {"jobs"},
    "auth": BASE | {"records"},
    "weights": {"errors"},
    "languages": {"weights"},
    "catalog": BASE | {"core", "weights", "languages"},
    "engine": BASE | {"core", "weights", "catalog", "blobs", "infotext", "languages"},
    "worker": BASE | {"core", "jobs", "blobs", "engine"},
    "webhooks": BASE | {"core", "jobs", "blobs", "net", "records"},
    "service": BASE | {"core", "jobs", "blobs", "catalog", "intake"},
    "api": BASE
    | {"auth", "core", "infotext", "weights", "jobs", "blobs", "catalog", "service", "worker", "intake"}
    | {"webhooks", "records"},
}
"""Part -> the parts it may import. Those in COMPOSITION put things together and may import all."""

COMPOSITION = {"main", "__main__", "generate", "models", "keys", "start", "__init__"}
ENGINE_ONLY = {"torch", "diffusers", "transformers", "peft", "spandrel", "accelerate", "safetensors", "PIL"}
ENGINE_ONLY |= {"cv2"}
OPENS_PICTURES = Path("intake/pictures.py")
"""Takes pictures in; nobody imports it before there is one."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{module} imports relatively"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


@pytest.mark.parametrize("module", modules(), ids=lambda one: str(one.relative_to(PACKAGE)))
def test_imports_point_one_way(module: Path) -> None:
    part = part_of(module)
    if part in COMPOSITION or module.name == "__main__.py":
        return
    own = [name.split(".") for name in imports_of(module) if name.startswith("diffusionapi.")]
    used = {name[1] for name in own} - {part, "__version__"}
    assert used <= MAY_IMPORT[part], f"{part} may not import {sorted(used - MAY_IMPORT[part])}"


def test_no_dialect_imports_another() -> None:
    for module in (PACKAGE / "api").rglob("*.py"):
        parts = module.relative_to(PACKAGE / "api").parts
        own = parts[0] if len(parts) > 1 else None
        for name in imports_of(module):
            if name.startswith("diffusionapi.api.") and own is not None:
                other = name.split(".")[2]
                assert not (PACKAGE / "api" / other).is_dir() or other == own, f"{module} imports {name}"


def test_only_the_engine_knows_the_libraries_of_pictures_and_networks() -> None:
    for module in modules():
        if part_of(module) != "engine":
            used = {name.split(".")[0] for name in imports_of(module)} & ENGINE_ONLY
            if module.relative_to(PACKAGE) == OPENS_PICTURES:
                used.discard("PIL")
            assert not used, f"{module} imports {used}"


def test_only_the_settings_read_the_environment() -> None:
    for module in modules():
        if module.name not in ("settings.py", "environment.py"):  # the latter is what engines begin with
            assert "os.environ" not in module.read_text(), module
            assert "getenv" not in module.read_text(), module


@pytest.mark.parametrize(
    "name", ["diffusionapi.main", "diffusionapi.generate", "diffusionapi.worker.pool", "list_models"]
)
def test_the_web_process_and_the_commands_load_no_torch(name: str) -> None:
    program = f"import sys, {name}; print(sorted({ENGINE_ONLY!r} & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert loaded.stdout.strip() == "[]"


def test_importing_the_app_makes_nothing_on_disk(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", "import diffusionapi.main"],
        check=True,
        cwd=tmp_path,
        env={"DATA_DIR": str(tmp_path)},
    )
    assert list(tmp_path.iterdir()) == []


def test_files_stay_small_enough_to_have_one_job() -> None:
    lengths = {module: len(module.read_text().splitlines()) for module in modules()}
    assert {str(module): length for module, length in lengths.items() if length > 400} == {}
    ordinary = sorted(length for module, length in lengths.items() if module.name != "__init__.py")
    assert ordinary[len(ordinary) // 2] < 150


def test_functions_stay_short() -> None:
    functions = [
        (node.end_lineno - node.lineno + 1, f"{module.name}:{node.name}")
        for module in modules()
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    ]
    assert [one for one in functions if one[0] > 60] == []


def test_every_module_says_what_it_owns() -> None:
    for module in modules():
        assert ast.get_docstring(ast.parse(module.read_text())), f"{module} has no docstring"


def test_every_error_has_a_code_of_its_own_and_a_place_in_the_tree() -> None:
    from diffusionapi import errors

    classes = [
        one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.Error)
    ]
    assert len({one.code for one in classes}) == len(classes)
    assert errors.__doc__ is not None
    for one in classes:
        assert one.__name__ in errors.__doc__
