from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save, save_file

from diffusionapi.engine.adapters.lora import Loras, Use
from diffusionapi.engine.models.load import load
from diffusionapi.errors import BadRequest, BrokenModel
from diffusionapi.weights import lora_file
from tests.engine.adapters.lora_files import a_lora, save_kohya

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.engine.models.loaded import LoadedModel

CPU = torch.device("cpu")
LAYER = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"


@pytest.fixture(scope="module")
def sd1(sd1_folder: Path) -> LoadedModel:
    return load(sd1_folder, CPU, torch.float32)


def activate(model: LoadedModel, file: Path) -> None:
    loras = Loras(model)
    loras.activate([Use.of(file, 1.0)])
    loras.clear()


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (".hada_w1_a", "a LoHa"),
        (".lokr_w1", "a LoKr"),
        (".dora_scale", "a DoRA"),
        (".oft_blocks", "an OFT"),
        (".diff", "a difference of whole weights"),
    ],
)
def test_other_kinds_of_adapters_are_refused_by_name(ending: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "odd one.safetensors"
    save_file({f"{LAYER}{ending}": torch.ones(2, 2), f"{LAYER}.alpha": torch.tensor(1.0)}, file)
    with pytest.raises(BadRequest, match=f"^loras: 'odd one' is {kind}; this server applies LoRA and LoCon"):
        lora_file.read(file)


def test_a_dora_is_refused_even_though_it_has_a_loras_matrices(sd1: LoadedModel, tmp_path: Path) -> None:
    file = save_kohya(tmp_path / "dora.safetensors", a_lora(sd1, "to_q$"))
    weights = lora_file.read(file).header.tensors
    extra = {name: torch.zeros(one.shape) for name, one in weights.items()}
    save_file(extra | {f"{LAYER}.dora_scale": torch.ones(4, 1)}, file)
    with pytest.raises(BadRequest, match="'dora' is a DoRA"):
        activate(sd1, file)


@pytest.mark.parametrize(
    ("width", "made_for"), [(1024, "SD 2.x"), (2048, "SDXL"), (1280, "the SDXL refiner")]
)
def test_a_lora_for_another_family_is_refused_with_both_families(
    width: int, made_for: str, sd1: LoadedModel, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.safetensors"
    save_file(
        {f"{LAYER}.lora_down.weight": torch.zeros(1, width), f"{LAYER}.lora_up.weight": torch.zeros(32, 1)},
        file,
    )
    with pytest.raises(BadRequest, match=f"^loras: 'wrong' was made for {made_for}, and '.*' is SD 1.x$"):
        activate(sd1, file)


@pytest.mark.parametrize("folder", ["sd2_folder", "sdxl_folder", "refiner_folder"])
def test_loras_of_other_families_do_not_fit(
    folder: str, sd1: LoadedModel, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    other = load(request.getfixturevalue(folder), CPU, torch.float32)
    for made_for, model in ((sd1, other), (other, sd1)):
        changes = [one for one in a_lora(made_for) if one.part == "unet"]
        file = save_kohya(tmp_path / "foreign.safetensors", changes)
        with pytest.raises(BadRequest, match=r"^loras: 'foreign' (was made for|does not fit)"):
            activate(model, file)


def test_an_adapter_of_another_kind_of_network_is_refused(sd1: LoadedModel, tmp_path: Path) -> None:
    name = "transformer.single_transformer_blocks.0.attn.to_q"
    save_file(
        {f"{name}.lora_A.weight": torch.zeros(1, 8), f"{name}.lora_B.weight": torch.zeros(8, 1)},
        tmp_path / "flux.safetensors",
    )
    with pytest.raises(BadRequest, match="'flux' was made for Flux, which this server does not run"):
        activate(sd1, tmp_path / "flux.safetensors")


def test_ranks_that_do_not_agree_do_not_fit(sd1: LoadedModel, tmp_path: Path) -> None:
    save_file(
        {f"{LAYER}.lora_down.weight": torch.zeros(2, 32), f"{LAYER}.lora_up.weight": torch.zeros(32, 3)},
        tmp_path / "odd.safetensors",
    )
    with pytest.raises(BadRequest, match="'odd' was made for another family"):
        activate(sd1, tmp_path / "odd.safetensors")


def test_broken_files_are_named(sd1: LoadedModel, tmp_path: Path) -> None:
    whole = save_kohya(tmp_path / "whole.safetensors", a_lora(sd1)).read_bytes()
    contents = {
        "short": whole[: len(whole) // 2],
        "tiny": whole[:5],
        "empty": b"",
        "garbage": b"\xff" * 1000,
        "page": b"<!DOCTYPE html><html>404</html>",
        "nothing": save({}),
        "half": save({f"{LAYER}.lora_down.weight": torch.zeros(1, 32)}),
        "checkpoint": save({"model.diffusion_model.out.2.weight": torch.zeros(4, 4)}),
        "metadata": save(
            {f"{LAYER}.lora_down.weight": torch.zeros(1, 32), f"{LAYER}.lora_up.weight": torch.zeros(32, 1)},
            {"lora_adapter_metadata": "{"},
        ),
    }
    for name, content in contents.items():
        file = tmp_path / f"{name}.safetensors"
        file.write_bytes(content)
        with pytest.raises(BrokenModel, match=rf"{name}\.safetensors cannot be used: \S+"):
            activate(sd1, file)
    with pytest.raises(BrokenModel, match=r"missing\.safetensors cannot be used: no such file"):
        Use.of(tmp_path / "missing.safetensors", 1.0)


def test_packed_textual_inversions_are_passed_over(sd1: LoadedModel, tmp_path: Path) -> None:
    file = save_kohya(tmp_path / "one.safetensors", a_lora(sd1, "to_q$"))
    tensors = {name: torch.zeros(one.shape) for name, one in lora_file.read(file).header.tensors.items()}
    save_file(tensors | {"bundle_emb.word.string_to_param": torch.zeros(1, 32)}, file)
    activate(sd1, file)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("lora_unet_mid_block_attentions_0_proj_in", "unet.mid_block_attentions_0_proj_in"),
        ("unet.mid_block.attentions.0.proj_in", "unet.mid_block_attentions_0_proj_in"),
        ("mid_block.attentions.0.attn1.processor.to_out", "unet.mid_block_attentions_0_attn1_to_out_0"),
        ("base_model.model.up_blocks.0.resnets.0.conv1", "unet.up_blocks_0_resnets_0_conv1"),
        ("lora_te_text_model_encoder_layers_3_mlp_fc1", "te1.encoder_layers_3_mlp_fc1"),
        ("lora_te2_text_projection", "te2.text_projection"),
        ("text_encoder_2.encoder.layers.3.mlp.fc1", "te2.encoder_layers_3_mlp_fc1"),
        ("text_encoder.text_model.encoder.layers.0.self_attn.to_q", "te1.encoder_layers_0_self_attn_q_proj"),
        (
            "text_encoder.text_model.encoder.layers.0.self_attn.to_out",
            "te1.encoder_layers_0_self_attn_out_proj",
        ),
    ],
)
def test_names_of_all_formats_come_to_one_spelling(name: str, place: str) -> None:
    assert lora_file.place(name) == place


@pytest.mark.parametrize(
    ("metadata", "factor"),
    [
        ("{}", 1.0),
        ('{"unet.lora_alpha": 8, "unet.r": 4}', 2.0),
        ('{"unet.lora_alpha": 8, "unet.alpha_pattern": {"mid_block.a": 2}}', 0.5),
        ('{"unet.lora_alpha": 8, "unet.alpha_pattern": {"id_block.a": 2}}', 2.0),
        ('{"unet.lora_alpha": 8, "unet.use_rslora": true}', 4.0),
        ('{"text_encoder.lora_alpha": 8}', 1.0),
    ],
)
def test_alpha_is_taken_from_diffusers_metadata(metadata: str, factor: float, tmp_path: Path) -> None:
    file = tmp_path / "peft.safetensors"
    tensors = {
        "unet.mid_block.a.lora_A.weight": torch.zeros(4, 8),
        "unet.mid_block.a.lora_B.weight": torch.zeros(8, 4),
    }
    save_file(tensors, file, {"lora_adapter_metadata": metadata})
    assert lora_file.read(file).layers["unet.mid_block_a"].factor == factor


def test_the_hash_is_that_of_what_follows_the_header(tmp_path: Path) -> None:
    header, data = b'{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}', b"abc"
    file = tmp_path / "one.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + data)
    assert lora_file.short_hash(file) == "ba7816bf8f01" == hashlib.sha256(b"abc").hexdigest()[:12]


def test_the_hash_does_not_change_with_the_metadata(tmp_path: Path) -> None:
    tensors = {f"{LAYER}.alpha": torch.tensor(2.0)}
    for name, metadata in (("one", {"ss_title": "a"}), ("two", {"ss_title": "quite another"})):
        save_file(tensors, tmp_path / f"{name}.safetensors", metadata)
    one, two = (lora_file.short_hash(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    assert one == two
