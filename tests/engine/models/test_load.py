"""A model loads the same from every layout, in the wanted precision, and as diffusers itself loads it."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from diffusionapi.engine.models.load import load
from diffusionapi.engine.models.noise_levels import alphas_cumprod
from diffusionapi.errors import BrokenModel
from tests import miniatures

if TYPE_CHECKING:
    from diffusionapi.engine.models.loaded import LoadedModel

CPU = torch.device("cpu")
PIPELINES = {
    "sd1_folder": StableDiffusionPipeline,
    "sd2_folder": StableDiffusionPipeline,
    "sd2_v_folder": StableDiffusionPipeline,
    "sdxl_folder": StableDiffusionXLPipeline,
    "refiner_folder": StableDiffusionXLImg2ImgPipeline,
}
FAMILIES = list(PIPELINES)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def weights_of(modules: list[Any]) -> list[dict[str, torch.Tensor]]:
    return [
        {name.removeprefix("text_model."): one for name, one in module.state_dict().items()}
        for module in modules
    ]


def assert_same_weights(ours: list[Any], theirs: list[Any]) -> None:
    for mine, other in zip(weights_of(ours), weights_of(theirs), strict=True):
        assert mine.keys() == other.keys()
        for name, tensor in mine.items():
            assert torch.equal(tensor, other[name]), name


def unet_says(model: LoadedModel) -> torch.Tensor:
    """What the UNet makes of one fixed question."""
    generator = torch.Generator().manual_seed(0)
    width = model.unet.config.cross_attention_dim
    added = None
    if model.unet.config.addition_embed_type == "text_time":
        sizes = 6 if model.family == "sdxl" else 5
        added = {"text_embeds": torch.ones(1, 64), "time_ids": torch.full((1, sizes), 64.0)}
    with torch.inference_mode():
        answer: torch.Tensor = model.unet(
            torch.randn(1, 4, 8, 8, generator=generator),
            torch.tensor([500.0]),
            torch.randn(1, 77, width, generator=generator),
            added_cond_kwargs=added,
        ).sample
    return answer


@pytest.mark.parametrize("folder", FAMILIES, indirect=True)
def test_a_folder_loads_as_diffusers_loads_it(folder: Path, request: pytest.FixtureRequest) -> None:
    pipeline = PIPELINES[request.node.callspec.params["folder"]].from_pretrained(
        folder, local_files_only=True
    )
    model = load(folder, CPU, torch.float32)
    theirs = [pipeline.text_encoder, getattr(pipeline, "text_encoder_2", None)]
    assert_same_weights(model.modules, [pipeline.unet, pipeline.vae, *filter(None, theirs)])
    tokenizers = [one for one in (pipeline.tokenizer, getattr(pipeline, "tokenizer_2", None)) if one]
    for mine, other in zip(model.tokenizers, tokenizers, strict=True):
        asked: dict[str, Any] = {"padding": "max_length", "max_length": 77, "truncation": True}
        prompt = "A photo of an astronaut, (riding) a horse's back; ümläut 東京"
        assert mine(prompt, **asked).input_ids == other(prompt, **asked).input_ids
    assert model.scaling_factor == pipeline.vae.config.scaling_factor
    theirs_left = pipeline.scheduler.alphas_cumprod.double()
    assert torch.allclose(model.alphas_cumprod, theirs_left, rtol=1e-4)


@pytest.mark.parametrize("folder", FAMILIES, indirect=True)
def test_a_checkpoint_loads_like_its_folder(folder: Path, tmp_path: Path) -> None:
    from_folder = load(folder, CPU, torch.float32)
    file = miniatures.as_checkpoint(folder, tmp_path / "one.safetensors")
    from_file = load(file, CPU, torch.float32)
    assert_same_weights(from_file.modules, from_folder.modules)
    # Mapped weights lie as their file has them, and small products round by how they lie.
    assert torch.allclose(unet_says(from_file), unet_says(from_folder), atol=1e-5)
    pads = [one.pad_token for one in from_file.tokenizers]
    assert pads == [one.pad_token for one in from_folder.tokenizers]
    assert torch.equal(from_file.alphas_cumprod, from_folder.alphas_cumprod)
    for mine, other in zip(from_file.text_encoders, from_folder.text_encoders, strict=True):
        tokens = torch.tensor([[49406, 320, 1125, 49407, 0, 0]])
        mine_says, other_says = mine(tokens), other(tokens)
        assert torch.allclose(mine_says[0], other_says[0], atol=1e-5)
        assert torch.allclose(mine_says.last_hidden_state, other_says.last_hidden_state, atol=1e-5)


@pytest.mark.parametrize("folder", ["sd1_folder", "sdxl_folder"], indirect=True)
def test_a_checkpoint_loads_as_diffusers_converts_it(
    folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file = miniatures.as_checkpoint(folder, tmp_path / "one.safetensors")
    pipeline = PIPELINES[request.node.callspec.params["folder"]].from_single_file(
        str(file), config=str(folder), local_files_only=True
    )
    model = load(file, CPU, torch.float32)
    assert_same_weights([model.unet, model.vae], [pipeline.unet, pipeline.vae])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_weight_has_the_wanted_type_whatever_the_file_has(
    dtype: torch.dtype, sd1_folder: Path, tmp_path: Path
) -> None:
    half = miniatures.as_half(sd1_folder, tmp_path / "half")
    for path in (sd1_folder, half, miniatures.as_checkpoint(half, tmp_path / "one.safetensors")):
        model = load(path, CPU, dtype)
        assert {one.dtype for module in model.modules for one in module.parameters()} == {dtype}
        assert model.dtype == dtype
        assert model.bytes == dtype.itemsize * sum(
            one.numel() for module in model.modules for one in module.parameters()
        )


def test_the_vae_of_sdxl_stays_in_fp32_beside_a_unet_in_fp16(sdxl_folder: Path) -> None:
    model = load(sdxl_folder, CPU, torch.float16)
    assert (model.unet.dtype, model.vae.dtype) == (torch.float16, torch.float32)


def test_the_variant_files_are_taken_by_precision(sd1_folder: Path, tmp_path: Path) -> None:
    both = miniatures.as_half(sd1_folder, tmp_path / "both")
    for file in sd1_folder.rglob("*.safetensors"):
        full = {name: one + 1 for name, one in load_file(file).items()}
        save_file(full, both / file.relative_to(sd1_folder))
    half = load(both, CPU, torch.float16).unet.conv_in.weight
    full = load(both, CPU, torch.float32).unet.conv_in.weight
    original = load(sd1_folder, CPU, torch.float32).unet.conv_in.weight
    assert torch.equal(half, original.half())
    assert torch.equal(full, original + 1)


def test_sharded_weights_load(sd1_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sd1_folder, tmp_path / "sharded")
    whole = tmp_path / "sharded" / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(whole)
    whole.unlink()
    names = sorted(tensors)
    shards = {
        "diffusion_pytorch_model-00001-of-00002.safetensors": names[::2],
        "diffusion_pytorch_model-00002-of-00002.safetensors": names[1::2],
    }
    for shard, inside in shards.items():
        save_file({name: tensors[name] for name in inside}, whole.with_name(shard))
    table = {name: shard for shard, inside in shards.items() for name in inside}
    whole.with_name("diffusion_pytorch_model.safetensors.index.json").write_text(
        json.dumps({"weight_map": table})
    )
    model = load(tmp_path / "sharded", CPU, torch.float32)
    assert_same_weights([model.unet], [load(sd1_folder, CPU, torch.float32).unet])
    whole.with_name("diffusion_pytorch_model-00002-of-00002.safetensors").unlink()
    with pytest.raises(BrokenModel, match="00002-of-00002"):
        load(tmp_path / "sharded", CPU, torch.float32)


def test_vaes_with_the_attention_names_of_2022_load(sd1_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sd1_folder, tmp_path / "old")
    file = tmp_path / "old" / "vae" / "diffusion_pytorch_model.safetensors"
    renames = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    old = {}
    for name, tensor in load_file(file).items():
        renamed = name
        for now, then in renames.items():
            renamed = renamed.replace(f".{now}.", f".{then}.")
        old[renamed] = tensor
    save_file(old, file)
    assert_same_weights(
        [load(tmp_path / "old", CPU, torch.float32).vae], [load(sd1_folder, CPU, torch.float32).vae]
    )


def test_text_encoders_without_their_prefix_load(sd1_folder: Path, tmp_path: Path) -> None:
    tensors = {
        name.replace("cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."): one
        for name, one in miniatures.original_tensors(sd1_folder).items()
    }
    save_file(tensors, tmp_path / "flat.safetensors")
    model = load(tmp_path / "flat.safetensors", CPU, torch.float32)
    assert_same_weights(model.text_encoders, load(sd1_folder, CPU, torch.float32).text_encoders)


def test_pickled_checkpoints_load_when_allowed(sd1_folder: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": miniatures.original_tensors(sd1_folder)}, tmp_path / "one.ckpt")
    with pytest.raises(BrokenModel, match="pickle"):
        load(tmp_path / "one.ckpt", CPU, torch.float32)
    model = load(tmp_path / "one.ckpt", CPU, torch.float32, allow_pickles=True)
    assert_same_weights(model.modules, load(sd1_folder, CPU, torch.float32).modules)


def test_a_folder_without_tokenizers_gets_the_shipped_vocabulary(sdxl_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sdxl_folder, tmp_path / "bare")
    for tokenizer in (tmp_path / "bare").glob("tokenizer*"):
        shutil.rmtree(tokenizer)
    first, second = load(tmp_path / "bare", CPU, torch.float32).tokenizers
    sentence = "a photo of an astronaut riding a horse on mars"
    ids = [49406, 320, 1125, 539, 550, 18376, 6765, 320, 4558, 525, 7496, 49407]
    assert first(sentence).input_ids == second(sentence).input_ids == ids
    assert (first.pad_token_id, second.pad_token_id) == (49407, 0)


def test_tokenizers_saved_by_transformers_5_load(sd1_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sd1_folder, tmp_path / "new")
    tokenizer = load(sd1_folder, CPU, torch.float32).tokenizers[0]
    shutil.rmtree(tmp_path / "new" / "tokenizer")
    tokenizer.save_pretrained(tmp_path / "new" / "tokenizer")
    assert not (tmp_path / "new" / "tokenizer" / "vocab.json").exists()
    again = load(tmp_path / "new", CPU, torch.float32).tokenizers[0]
    assert again("a cat").input_ids == tokenizer("a cat").input_ids


def test_writing_into_mapped_weights_leaves_the_file_alone(sd1_folder: Path) -> None:
    model = load(sd1_folder, CPU, torch.float32)
    before = model.unet.conv_in.weight.clone()
    with torch.no_grad():
        model.unet.conv_in.weight.zero_()
    assert torch.equal(load(sd1_folder, CPU, torch.float32).unet.conv_in.weight, before)


def test_modules_are_ready_to_run_and_need_no_gradients(sdxl_folder: Path) -> None:
    for module in load(sdxl_folder, CPU, torch.float32).modules:
        assert not module.training
        assert not any(one.requires_grad for one in module.parameters())
        assert not any(one.is_meta for one in [*module.parameters(), *module.buffers()])


def test_a_missing_tensor_is_named(sd1_folder: Path, tmp_path: Path) -> None:
    tensors = miniatures.original_tensors(sd1_folder)
    del tensors["model.diffusion_model.middle_block.0.in_layers.0.weight"]
    save_file(tensors, tmp_path / "holed.safetensors")
    with pytest.raises(
        BrokenModel, match=r"the tensor model\.diffusion_model\.middle_block\.0\.in_layers\.0\.weight is"
    ):
        load(tmp_path / "holed.safetensors", CPU, torch.float32)


def test_a_tensor_of_another_shape_is_named(sd1_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sd1_folder, tmp_path / "bent")
    file = tmp_path / "bent" / "unet" / "diffusion_pytorch_model.safetensors"
    save_file(load_file(file) | {"conv_in.bias": torch.zeros(7)}, file)
    with pytest.raises(BrokenModel, match=r"conv_in\.bias is \(7,\) where \(32,\) is expected"):
        load(tmp_path / "bent", CPU, torch.float32)


def test_noise_levels_are_those_published_in_float64() -> None:
    left = alphas_cumprod({}, zero_snr=False)
    sigmas = ((1 - left) / left).sqrt()
    assert left.dtype == torch.float64
    assert sigmas[0].item() == pytest.approx(0.0291671, rel=1e-5)
    assert sigmas[-1].item() == pytest.approx(14.6146412, rel=1e-7)


def test_zero_snr_ends_in_noise_and_starts_as_before() -> None:
    plain, rescaled = alphas_cumprod({}, zero_snr=False), alphas_cumprod({}, zero_snr=True)
    assert rescaled[0] == pytest.approx(plain[0].item())
    assert 0 < rescaled[-1].item() < 1e-7
    assert (rescaled.diff() < 0).all()
