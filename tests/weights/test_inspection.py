"""What a model is, is read from its configuration or its tensors, never from its name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffusionapi.errors import BrokenModel
from diffusionapi.weights.families import UNET
from diffusionapi.weights.inspection import inspect
from tests import miniatures

if TYPE_CHECKING:
    from collections.abc import Callable

FAMILIES = {
    "sd1_folder": ("sd1", "epsilon"),
    "sd2_folder": ("sd2", "epsilon"),
    "sd2_v_folder": ("sd2", "v_prediction"),
    "sdxl_folder": ("sdxl", "epsilon"),
    "refiner_folder": ("refiner", "epsilon"),
}


@pytest.mark.parametrize("fixture", FAMILIES)
def test_a_folder_tells_its_family_and_prediction(fixture: str, request: pytest.FixtureRequest) -> None:
    found = inspect(request.getfixturevalue(fixture))
    assert (found.family, found.prediction) == FAMILIES[fixture]
    assert found.kind == "folder"
    assert found.bytes == 4 * found.parameters > 10**7


@pytest.mark.parametrize("fixture", FAMILIES)
def test_a_checkpoint_tells_its_family(fixture: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    file = miniatures.as_checkpoint(request.getfixturevalue(fixture), tmp_path / "sdxl-or-sd2.safetensors")
    found = inspect(file)
    assert found.family == FAMILIES[fixture][0]
    assert found.kind == "file"
    assert found.path == file


def test_the_refiner_is_told_from_a_base_whose_first_text_encoder_is_missing(
    sdxl_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "refiner"
    shutil.copytree(sdxl_folder, folder)
    shutil.rmtree(folder / "text_encoder")
    with pytest.raises(BrokenModel, match=r"refiner/text_encoder/config\.json cannot be used: it is missing"):
        inspect(folder)


def test_no_torch_is_imported(sdxl_folder: Path, tmp_path: Path) -> None:
    file = miniatures.as_checkpoint(sdxl_folder, tmp_path / "one.safetensors")
    program = (
        "import sys; from pathlib import Path; from diffusionapi.weights.inspection import inspect;"
        f"inspect(Path({str(sdxl_folder)!r})); inspect(Path({str(file)!r}));"
        "print(sorted({'torch', 'numpy', 'diffusers', 'safetensors'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"


# --- what the UNet predicts ------------------------------------------------------------------------------


def _changed(folder: Path, file: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    tensors = miniatures.original_tensors(folder)
    change(tensors)
    save_file(tensors, file)
    return file


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_velocity_training_of_sd2_shows_in_one_bias(
    dtype: torch.dtype, sd2_folder: Path, tmp_path: Path
) -> None:
    bias = f"{UNET}output_blocks.11.1.transformer_blocks.0.norm1.bias"

    def spread(tensors: dict[str, torch.Tensor]) -> None:
        tensors[bias] = torch.linspace(-0.3, 0.3, len(tensors[bias])).to(dtype)

    assert inspect(_changed(sd2_folder, tmp_path / "v.safetensors", spread)).prediction == "v_prediction"


def test_empty_tensors_mark_velocity_and_zero_snr(sdxl_folder: Path, tmp_path: Path) -> None:
    def mark(tensors: dict[str, torch.Tensor]) -> None:
        tensors["v_pred"] = tensors["ztsnr"] = torch.tensor([])

    found = inspect(_changed(sdxl_folder, tmp_path / "marked.safetensors", mark))
    assert (found.prediction, found.zero_snr) == ("v_prediction", True)


@pytest.mark.parametrize(
    ("metadata", "prediction"),
    [
        ({"modelspec.prediction_type": "v"}, "v_prediction"),
        ({"modelspec.prediction_type": "epsilon"}, "epsilon"),
        ({"ss_v_parameterization": "True"}, "v_prediction"),
    ],
)
def test_metadata_says_what_is_predicted(
    metadata: dict[str, str], prediction: str, sd1_folder: Path, tmp_path: Path
) -> None:
    file = miniatures.as_checkpoint(sd1_folder, tmp_path / "one.safetensors", metadata=metadata)
    assert inspect(file).prediction == prediction


def test_a_yaml_beside_the_checkpoint_overrules_all(sd2_folder: Path, tmp_path: Path) -> None:
    file = miniatures.as_checkpoint(
        sd2_folder, tmp_path / "one.safetensors", metadata={"modelspec.prediction_type": "epsilon"}
    )
    file.with_suffix(".yaml").write_text('model:\n  params:\n    parameterization: "v"\n')
    assert inspect(file).prediction == "v_prediction"


def test_a_yaml_written_later_is_noticed(sd2_folder: Path, tmp_path: Path) -> None:
    file = miniatures.as_checkpoint(sd2_folder, tmp_path / "one.safetensors")
    assert inspect(file).prediction == "epsilon"
    file.with_suffix(".yaml").write_text("parameterization: v\n")
    assert inspect(file).prediction == "v_prediction"


def test_a_replaced_file_is_read_again(sd1_folder: Path, sd2_folder: Path, tmp_path: Path) -> None:
    file = miniatures.as_checkpoint(sd1_folder, tmp_path / "one.safetensors")
    assert inspect(file).family == "sd1"
    assert inspect(miniatures.as_checkpoint(sd2_folder, file)).family == "sd2"


def test_a_folder_with_zero_snr_says_so(sdxl_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sdxl_folder, tmp_path / "model")
    scheduler = tmp_path / "model" / "scheduler" / "scheduler_config.json"
    config = json.loads(scheduler.read_text()) | {
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
    }
    scheduler.write_text(json.dumps(config))
    found = inspect(tmp_path / "model")
    assert (found.prediction, found.zero_snr) == ("v_prediction", True)


# --- what cannot be used ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "cut short at 0 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>" * 3, "web page"),
        (b"PK\x03\x04" + bytes(60), "pickle under the name"),
        (b"\xff" * 100, "not a safetensors file"),
        (b"\x10" + bytes(7) + b"{not json at all", "header is damaged"),
        (b"\x80" + bytes(7) + b"{", "cut short at 9 bytes"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named_with_what_it_is(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "photo.safetensors"
    file.write_bytes(content)
    with pytest.raises(BrokenModel, match=rf"models/photo\.safetensors cannot be used: .*{problem}"):
        inspect(file)


def test_a_checkpoint_cut_short_says_how_much_is_there(sd1_folder: Path, tmp_path: Path) -> None:
    file = miniatures.as_checkpoint(sd1_folder, tmp_path / "one.safetensors")
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.truncate(size // 2)
    with pytest.raises(BrokenModel, match=f"cut short at {size // 2} of {size} bytes"):
        inspect(file)


@pytest.mark.parametrize(
    "missing",
    [
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "text_encoder/config.json",
        "scheduler/scheduler_config.json",
    ],
)
def test_a_half_downloaded_folder_names_the_file_that_is_missing(
    missing: str, sd1_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(sd1_folder, tmp_path / "half")
    (tmp_path / "half" / missing).unlink()
    with pytest.raises(BrokenModel, match=rf"half/{missing} cannot be used: it is missing; .* pull it again"):
        inspect(tmp_path / "half")


def test_a_link_of_a_hub_cache_into_nothing_is_a_download_that_did_not_finish(
    sd1_folder: Path, tmp_path: Path
) -> None:
    cache = miniatures.as_hub_cache(sd1_folder, tmp_path, "org/name")
    weights = cache / "snapshots" / miniatures.REVISION / "unet" / "diffusion_pytorch_model.safetensors"
    weights.resolve().unlink()
    with pytest.raises(BrokenModel, match=r"models--org--name/snapshots/.*/unet/.*did not finish"):
        inspect(cache)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("lora_unet_down_blocks_0.lora_down.weight", "LoRA"),
        ("double_blocks.0.img_attn.qkv.weight", "Flux"),
        ("model.diffusion_model.joint_blocks.0.x", "SD3"),
        ("encoder.down.0.block.0.conv1.weight", "VAE"),
        ("something.else", "no Stable Diffusion checkpoint"),
    ],
)
def test_other_kinds_of_files_are_told_apart(name: str, kind: str, tmp_path: Path) -> None:
    save_file({name: torch.zeros(2)}, tmp_path / "one.safetensors")
    with pytest.raises(BrokenModel, match=kind):
        inspect(tmp_path / "one.safetensors")


def test_a_folder_of_another_kind_says_which(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(BrokenModel, match="it describes a FluxPipeline"):
        inspect(tmp_path)


def test_edm_models_are_refused(sdxl_folder: Path, tmp_path: Path) -> None:
    def mark(tensors: dict[str, torch.Tensor]) -> None:
        tensors["edm_mean"] = torch.zeros(4)

    with pytest.raises(BrokenModel, match="EDM"):
        inspect(_changed(sdxl_folder, tmp_path / "edm.safetensors", mark))


@pytest.mark.parametrize(
    ("file", "said", "why"),
    [
        (
            "scheduler/scheduler_config.json",
            {"_class_name": "EDMDPMSolverMultistepScheduler"},
            "EDM noise levels",
        ),
        ("vae/config.json", {"latents_mean": [0.1] * 4, "latents_std": [2.0] * 4}, "shifts its latents"),
    ],
)
def test_folders_of_what_this_server_does_not_run_are_refused(
    sdxl_folder: Path, tmp_path: Path, file: str, said: dict[str, object], why: str
) -> None:
    """As those of Playground 2.5, which else looks like an SDXL."""
    shutil.copytree(sdxl_folder, tmp_path / "other")
    config = tmp_path / "other" / file
    config.write_text(json.dumps(json.loads(config.read_text()) | said))
    with pytest.raises(BrokenModel, match=rf"other/{file} cannot be used: .*{why}"):
        inspect(tmp_path / "other")


# --- pickles ---------------------------------------------------------------------------------------------


def test_a_pickle_is_read_only_when_allowed_and_without_running_it(sd1_folder: Path, tmp_path: Path) -> None:
    tensors = miniatures.original_tensors(sd1_folder)
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "one.ckpt")
    with pytest.raises(BrokenModel, match="pickle, which can run code"):
        inspect(tmp_path / "one.ckpt")
    found = inspect(tmp_path / "one.ckpt", pickles=True)
    plain = inspect(miniatures.as_checkpoint(sd1_folder, tmp_path / "one.safetensors"))
    assert (found.family, found.bytes, found.parameters) == ("sd1", plain.bytes, plain.parameters)


class _Trap:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (Path("sprung"),)  # type: ignore[return-value]


def test_code_in_a_pickle_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"x": torch.zeros(1)}, "trap": _Trap()}, tmp_path / "trap.ckpt")
    with pytest.raises(BrokenModel, match="no Stable Diffusion checkpoint"):
        inspect(tmp_path / "trap.ckpt", pickles=True)
    assert not Path("sprung").exists()


def test_pickles_in_a_folder_are_named(sd1_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sd1_folder, tmp_path / "old")
    weights = tmp_path / "old" / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(
        BrokenModel, match=r"unet/diffusion_pytorch_model\.bin cannot be used: it is a pickle"
    ):
        inspect(tmp_path / "old")
    assert inspect(tmp_path / "old", pickles=True).family == "sd1"


@pytest.mark.parametrize(
    ("part", "problem"),
    [("first_stage_model.", "it has no VAE"), ("cond_stage_model.", "it has no text encoder")],
)
def test_a_checkpoint_without_one_of_its_parts_says_which(
    part: str, problem: str, sd1_folder: Path, tmp_path: Path
) -> None:
    tensors = miniatures.original_tensors(sd1_folder)
    file = tmp_path / "bare.safetensors"
    save_file({name: one for name, one in tensors.items() if not name.startswith(part)}, file)
    with pytest.raises(BrokenModel, match=rf"bare\.safetensors cannot be used: {problem}; use a checkpoint"):
        inspect(file)
