from __future__ import annotations

import copy
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
import torch

from diffusionapi.engine.adapters import lora
from diffusionapi.engine.adapters.lora import Loras, Use, applied, in_order
from diffusionapi.engine.adapters.lora_fit import places
from diffusionapi.engine.models.load import load
from diffusionapi.errors import BadRequest
from diffusionapi.weights import lora_file
from tests.engine.adapters.lora_files import (
    ATTENTION,
    XL_NAMES,
    Change,
    a_lora,
    answers,
    hand_merged,
    largest_difference,
    parts,
    save_comfy,
    save_kohya,
    save_old_diffusers,
    save_peft,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from diffusionapi.engine.models.loaded import LoadedModel

CPU = torch.device("cpu")
CLOSE = 1e-5
"""The promise is 1e-4; sums in another order differ by far less."""
CONVOLUTIONS = (
    r"(conv1|conv2|conv_shortcut|conv_in|conv_out|downsamplers\.0\.conv|upsamplers\.0\.conv|proj_in)$"
)
EVERYTHING = r"(?<!embedding)$"


@pytest.fixture(scope="module")
def sd1(sd1_folder: Path) -> LoadedModel:
    return load(sd1_folder, CPU, torch.float32)


@pytest.fixture(scope="module")
def sdxl(sdxl_folder: Path) -> LoadedModel:
    return load(sdxl_folder, CPU, torch.float32)


def state(model: LoadedModel) -> dict[str, torch.Tensor]:
    return {
        f"{part}.{name}": tensor.clone()
        for part, network in parts(model).items()
        for name, tensor in network.state_dict().items()
    }


def assert_same_state(model: LoadedModel, before: dict[str, torch.Tensor]) -> None:
    after = state(model)
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


# --- formats --------------------------------------------------------------------------------------------

FORMATS: dict[str, Callable[[Path, list[Change]], Path]] = {
    "kohya": save_kohya,
    "peft": save_peft,
    "old diffusers": save_old_diffusers,
}


@pytest.mark.parametrize("form", FORMATS)
def test_a_lora_acts_as_if_merged_into_the_weights(form: str, sd1: LoadedModel, tmp_path: Path) -> None:
    changes = a_lora(sd1)
    file = FORMATS[form](tmp_path / "one.safetensors", changes)
    plain = answers(sd1)
    with applied(sd1, [(file, 0.7)]):
        with_lora = answers(sd1)
    assert largest_difference(with_lora, answers(sd1, hand_merged(sd1, (changes, 0.7)))) < CLOSE
    assert all((with_lora[part] - plain[part]).abs().max() > 0.01 for part in plain), "it acts on every part"
    assert largest_difference(answers(sd1), plain) == 0


@pytest.mark.parametrize("folder", ["sd2_folder", "refiner_folder", "sdxl_folder"])
def test_every_family_takes_loras_under_kohyas_names(
    folder: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model = load(request.getfixturevalue(folder), CPU, torch.float32)
    changes = a_lora(model)
    file = save_kohya(tmp_path / "one.safetensors", changes, xl=model.family in ("sdxl", "refiner"))
    expected = answers(model, hand_merged(model, (changes, 1.0)))
    with applied(model, [(file, 1.0)]):
        assert largest_difference(answers(model), expected) < CLOSE


def test_sdxl_loras_under_the_names_of_stabilitys_code(sdxl: LoadedModel, tmp_path: Path) -> None:
    changes = [one for one in a_lora(sdxl, EVERYTHING) if one.part != "unet" or one.path in XL_NAMES]
    assert len([one for one in changes if one.part == "unet"]) == len(XL_NAMES)
    expected = answers(sdxl, hand_merged(sdxl, (changes, 1.0)))
    kohya = save_kohya(tmp_path / "kohya.safetensors", changes, xl=True, spell=XL_NAMES.__getitem__)
    comfy = save_comfy(tmp_path / "comfy.safetensors", changes, XL_NAMES.__getitem__)
    for file in (kohya, comfy):
        with applied(sdxl, [(file, 1.0)]):
            assert largest_difference(answers(sdxl), expected) < CLOSE


def test_diffusers_understands_the_same_names_alike(sdxl: LoadedModel, tmp_path: Path) -> None:
    from diffusers import StableDiffusionXLPipeline

    changes = [one for one in a_lora(sdxl, r"transformer_blocks.*to_[qkv]$") if one.path in XL_NAMES]
    file = save_kohya(tmp_path / "one.safetensors", changes, xl=True, spell=XL_NAMES.__getitem__)
    converted, _ = StableDiffusionXLPipeline.lora_state_dict(str(file), unet_config=sdxl.unet.config)
    theirs = {re.sub(r"[._]lora[._].*", "", key) for key in converted}
    ours = {lora_file.place(name) for name in theirs}
    assert ours == {lora_file.place(f"unet.{one.path}") for one in changes}


def test_locons_act_on_convolutions(sd1: LoadedModel, tmp_path: Path) -> None:
    changes = a_lora(sd1, CONVOLUTIONS)
    assert len({change.down.shape[2:] for change in changes}) == 2  # 1 x 1 and 3 x 3
    file = save_kohya(tmp_path / "locon.safetensors", changes)
    expected = answers(sd1, hand_merged(sd1, (changes, -0.5)))
    with applied(sd1, [(file, -0.5)]):
        assert largest_difference(answers(sd1), expected) < CLOSE


def test_locons_with_a_matrix_in_the_middle(sd1: LoadedModel, tmp_path: Path) -> None:
    changes = a_lora(sd1, r"(conv1|downsamplers\.0\.conv|proj_in)$", mid=True)
    file = save_kohya(tmp_path / "locon.safetensors", changes)
    expected = answers(sd1, hand_merged(sd1, (changes, 1.0)))
    with applied(sd1, [(file, 1.0)]):
        assert largest_difference(answers(sd1), expected) < CLOSE


def test_a_kernel_of_one_pixel_may_be_written_or_not(sdxl: LoadedModel, tmp_path: Path) -> None:
    linear = a_lora(sdxl, r"proj_in$")
    as_convolution = [
        Change(one.part, one.path, one.down[:, :, None, None], one.up[:, :, None, None]) for one in linear
    ]
    expected = answers(sdxl, hand_merged(sdxl, (linear, 1.0)))
    with applied(sdxl, [(save_kohya(tmp_path / "one.safetensors", as_convolution, xl=True), 1.0)]):
        assert largest_difference(answers(sdxl), expected) < CLOSE


def test_a_text_encoder_lora_without_out_proj_is_read_whole(sd1: LoadedModel, tmp_path: Path) -> None:
    changes = [one for one in a_lora(sd1, r"self_attn\.[qv]_proj$") if one.part == "text_encoder"]
    for form, save in FORMATS.items():
        expected = answers(sd1, hand_merged(sd1, (changes, 1.0)))
        with applied(sd1, [(save(tmp_path / f"{form}.safetensors", changes), 1.0)]):
            assert largest_difference(answers(sd1), expected) < CLOSE


def test_without_alpha_the_matrices_act_as_they_are(sd1: LoadedModel, tmp_path: Path) -> None:
    changes = a_lora(sd1)
    file = save_old_diffusers(tmp_path / "one.safetensors", changes)
    assert {layer.factor for layer in lora_file.read(file).layers.values()} == {1.0}


def test_every_layer_of_a_model_may_be_changed(sd1: LoadedModel, tmp_path: Path) -> None:
    changes = a_lora(sd1, EVERYTHING)
    file = save_kohya(tmp_path / "all.safetensors", changes)
    expected = answers(sd1, hand_merged(sd1, (changes, 0.1)))
    with applied(sd1, [(file, 0.1)]):
        assert largest_difference(answers(sd1), expected) < 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_half_precision_it_is_as_near_to_the_truth_as_merged_weights_are(
    dtype: torch.dtype, sd1: LoadedModel, sd1_folder: Path, tmp_path: Path
) -> None:
    model = load(sd1_folder, CPU, dtype)
    changes = a_lora(sd1)
    file = save_kohya(tmp_path / "half.safetensors", changes, dtype=torch.float16)
    exact, merged = (
        answers(sd1, hand_merged(sd1, (changes, 1.0))),
        answers(model, hand_merged(model, (changes, 1.0))),
    )
    with applied(model, [(file, 1.0)]):
        adapted = answers(model)
    for part, answer in exact.items():
        assert (adapted[part] - answer).abs().mean() < 1.3 * (merged[part] - answer).abs().mean()


# --- sets -----------------------------------------------------------------------------------------------


@pytest.fixture
def two(sd1: LoadedModel, tmp_path: Path) -> list[tuple[Path, list[Change]]]:
    """A LoRA on attention and a LoCon, files and contents."""
    found = []
    for seed, pattern in enumerate((ATTENTION, f"{CONVOLUTIONS}|to_q$")):
        changes = a_lora(sd1, pattern, seed=seed)
        found.append((save_kohya(tmp_path / f"lora{seed}.safetensors", changes), changes))
    return found


def test_several_act_at_once_each_with_its_scale(
    sd1: LoadedModel, two: list[tuple[Path, list[Change]]]
) -> None:
    (first, first_changes), (second, second_changes) = two
    merged = hand_merged(sd1, (first_changes, 0.8), (second_changes, -0.3), (first_changes, 0.1))
    with applied(sd1, [(first, 0.8), (second, -0.3), (first, 0.1)]):
        assert largest_difference(answers(sd1), answers(sd1, merged)) < CLOSE


def test_sets_and_scales_change_without_reading_anything_again(
    sd1: LoadedModel, two: list[tuple[Path, list[Change]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, first_changes), (second, second_changes) = two
    loras, before = Loras(sd1), state(sd1)
    plain = answers(sd1)
    loras.activate([Use.of(first, 1.0), Use.of(second, 1.0)])
    monkeypatch.setattr(lora, "safe_open", None)
    for scales in ((0.5, 0.0), (0.0, 2.0), (1.0, -1.0), (0.5, 0.0)):
        loras.activate([Use.of(first, scales[0]), Use.of(second, scales[1])])
        merged = hand_merged(sd1, (first_changes, scales[0]), (second_changes, scales[1]))
        assert largest_difference(answers(sd1), answers(sd1, merged)) < CLOSE
        assert_same_state(sd1, before)
    loras.activate([])
    assert largest_difference(answers(sd1), plain) == 0


def test_a_model_is_exactly_as_before_when_all_is_taken_away(
    sd1: LoadedModel, two: list[tuple[Path, list[Change]]]
) -> None:
    before, plain = state(sd1), answers(sd1)
    modules = [type(module) for network in parts(sd1).values() for module in network.modules()]
    loras = Loras(sd1)
    loras.activate([Use.of(file, 1.0) for file, _ in two])
    assert largest_difference(answers(sd1), plain) > 0.01
    loras.clear()
    assert_same_state(sd1, before)
    assert [type(module) for network in parts(sd1).values() for module in network.modules()] == modules
    assert not any(
        module._forward_hooks  # noqa: SLF001 - there is no other way to ask
        for network in parts(sd1).values()
        for module in network.modules()
    )
    assert largest_difference(answers(sd1), plain) == 0
    assert (loras.bytes, loras.active) == (0, ())


def test_scale_zero_is_none_at_all(sd1: LoadedModel, two: list[tuple[Path, list[Change]]]) -> None:
    loras = Loras(sd1)
    loras.activate([Use.of(two[0][0], 0.0)])
    assert (loras.active, loras.bytes) == ((), 0)


def test_unet_and_text_encoder_may_have_scales_of_their_own(
    sd1: LoadedModel, two: list[tuple[Path, list[Change]]]
) -> None:
    file, changes = two[0]
    merged, plain = answers(sd1, hand_merged(sd1, (changes, 0.6))), answers(sd1)
    loras = Loras(sd1)
    loras.activate([Use.of(file, 0.6, 0.0)])
    unet_only = answers(sd1)
    loras.activate([Use.of(file, 0.0, 0.6)])
    text_only = answers(sd1)
    loras.clear()
    expected = {"unet": merged["unet"], "text_encoder": plain["text_encoder"]}
    assert largest_difference(unet_only, expected) < CLOSE
    expected = {"unet": plain["unet"], "text_encoder": merged["text_encoder"]}
    assert largest_difference(text_only, expected) < CLOSE


def test_sets_that_act_alike_are_equal(two: list[tuple[Path, list[Change]]]) -> None:
    first, second = (Use.of(file, 0.5) for file, _ in two)
    assert in_order([first, second, Use.of(two[0][0], 0.0)]) == in_order([second, first])
    assert in_order([first]) != in_order([Use.of(two[0][0], 0.6)])
    assert hash(in_order([first])) == hash(in_order([Use.of(two[0][0], 0.5)]))


def test_a_file_that_was_replaced_is_another_lora(sd1: LoadedModel, tmp_path: Path) -> None:
    loras, file = Loras(sd1), tmp_path / "one.safetensors"
    for seed in (1, 2):
        changes = a_lora(sd1, seed=seed)
        save_kohya(file, changes)
        os.utime(file, ns=(seed, seed))
        loras.activate([Use.of(file, 1.0)])
        assert largest_difference(answers(sd1), answers(sd1, hand_merged(sd1, (changes, 1.0)))) < CLOSE
    loras.clear()


def test_a_file_may_be_written_over_while_its_lora_acts(sd1: LoadedModel, tmp_path: Path) -> None:
    file = save_kohya(tmp_path / "one.safetensors", a_lora(sd1))
    with applied(sd1, [(file, 1.0)]):
        before = answers(sd1)
        file.write_bytes(bytes(file.stat().st_size))
        assert largest_difference(answers(sd1), before) == 0


def test_when_one_cannot_be_used_the_set_before_stays(
    sd1: LoadedModel, two: list[tuple[Path, list[Change]]], tmp_path: Path
) -> None:
    loras = Loras(sd1)
    loras.activate([Use.of(two[0][0], 1.0)])
    before, active = answers(sd1), loras.active
    bad = tmp_path / "bad.safetensors"
    save_kohya(bad, [Change("unet", "nowhere", torch.zeros(1, 4), torch.zeros(4, 1))])
    with pytest.raises(BadRequest, match="'bad' does not fit"):
        loras.activate([Use.of(two[1][0], 1.0), Use.of(bad, 1.0)])
    assert loras.active == active
    assert largest_difference(answers(sd1), before) == 0
    loras.clear()


def test_what_is_not_active_is_forgotten_when_it_takes_too_much(
    sd1: LoadedModel, two: list[tuple[Path, list[Change]]]
) -> None:
    (first, _), (second, _) = two
    loras = Loras(sd1, keep_bytes=0)
    loras.activate([Use.of(first, 1.0)])
    size_of_first = loras.bytes
    loras.activate([Use.of(first, 1.0), Use.of(second, 1.0)])
    assert loras.bytes > size_of_first
    loras.activate([Use.of(first, 0.5)])
    assert loras.bytes == size_of_first
    loras.activate([])
    assert loras.bytes == 0


def test_the_matrices_follow_the_model_to_another_type_of_memory(
    sd1: LoadedModel, two: list[tuple[Path, list[Change]]]
) -> None:
    delta: Any = next(iter(lora._load(two[0][0], places(sd1), sd1)))  # noqa: SLF001
    meta = torch.device("meta")
    delta.add(
        torch.zeros(1, delta.down.shape[1], device=meta), torch.zeros(1, len(delta.up), device=meta), 1.0
    )
    assert delta.up.device == delta.down.device == meta


def test_models_in_channels_last_order_work_alike(
    sd1: LoadedModel, two: list[tuple[Path, list[Change]]]
) -> None:
    file, changes = two[1]
    expected = answers(sd1, hand_merged(sd1, (changes, 1.0)))
    other = copy.copy(sd1)
    other.unet = copy.deepcopy(sd1.unet).to(memory_format=torch.channels_last)
    with applied(other, [(file, 1.0)]):
        assert largest_difference(answers(other), expected) < CLOSE
