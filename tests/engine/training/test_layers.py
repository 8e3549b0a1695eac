"""What is learnt beside a model, against peft, and its file against those who read it."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import save_file

from diffusionapi.engine.adapters.lora import applied
from diffusionapi.engine.training.dice import dice
from diffusionapi.engine.training.layers import Learnt, parameters
from diffusionapi.weights import lora_file
from tests.engine.adapters.lora_files import answers, largest_difference, parts

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.engine.workshop import Workshop

CLOSE = 1e-5
TARGETS = r".*(attn[12]\.to_(q|k|v|out\.0)|self_attn\.(q|k|v|out)_proj)$"


def begun(model: LoadedModel, *, words: bool = True) -> Learnt:
    """As after some steps: `up` is no longer zero."""
    learnt = Learnt(model, rank=3, alpha=6.0, words=words, dice=dice(1, 0))
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for one in learnt.layers:
            one.up.copy_(torch.randn(one.up.shape, generator=random) * 0.2)
    return learnt


def by_peft(model: LoadedModel, learnt: Learnt) -> dict[str, Any]:
    """Copies of the networks in which peft has put the same matrices."""
    config = LoraConfig(r=3, lora_alpha=6, target_modules=TARGETS)
    networks = {
        part: inject_adapter_in_model(config, copy.deepcopy(one)) for part, one in parts(model).items()
    }
    at = {id(one.module): one for one in learnt.layers}
    with torch.no_grad():
        for part, original in parts(model).items():
            for path, module in original.named_modules():
                if one := at.get(id(module)):
                    theirs = networks[part].get_submodule(path)
                    theirs.lora_A["default"].weight.copy_(one.down)
                    theirs.lora_B["default"].weight.copy_(one.up)
    return networks


def test_the_model_answers_as_with_pefts_layers(workshop: Workshop) -> None:
    with workshop.taught("sd1") as weights:
        model = weights.model
        learnt, plain = begun(model), answers(model)
        theirs = answers(model, by_peft(model, learnt))
        with learnt.acting():
            assert largest_difference(answers(model), theirs) < CLOSE
        assert largest_difference(theirs, plain) > 0.01
        assert largest_difference(answers(model), plain) == 0


def test_gradients_are_those_of_pefts_layers(workshop: Workshop) -> None:
    with workshop.taught("sd1") as weights:
        model = weights.model
        learnt = begun(model)
        x, t, words = torch.ones(1, 4, 8, 8), torch.tensor([50]), torch.ones(1, 77, 32)
        unet = by_peft(model, learnt)["unet"]
        unet(x, t, words).sample.square().sum().backward()
        theirs = {path: one.grad for path, one in unet.named_parameters() if one.grad is not None}
        assert len(theirs) == len(parameters(learnt.of_unet))
        with learnt.acting():
            model.unet(x, t, words).sample.square().sum().backward()
        paths = {id(module): path for path, module in model.unet.named_modules()}
        for one in learnt.of_unet:
            for matrix, name in ((one.down, "lora_A"), (one.up, "lora_B")):
                assert matrix.grad is not None
                expected = theirs[f"{paths[id(one.module)]}.{name}.default.weight"]
                assert (matrix.grad - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_it_begins_as_the_model_itself(workshop: Workshop) -> None:
    with workshop.taught("sd1") as weights:
        plain = answers(weights.model)
        with Learnt(weights.model, rank=4, alpha=4.0, words=True, dice=dice(1, 0)).acting():
            assert largest_difference(answers(weights.model), plain) == 0


@pytest.mark.parametrize("name", ["sd1", "sd2-v", "sdxl"])
def test_this_server_reads_its_file(name: str, workshop: Workshop, tmp_path: Path) -> None:
    with workshop.taught(name) as weights:
        learnt, model = begun(weights.model), weights.model
        file = tmp_path / "learnt.safetensors"
        save_file(learnt.tensors(), file)
        with learnt.acting():
            expected = answers(model)
        with applied(model, [(file, 1.0)]):
            assert largest_difference(answers(model), expected) < CLOSE
    assert len(lora_file.read(file).layers) == len(learnt.layers)


PIPELINES = {"sd1": StableDiffusionPipeline, "sdxl": StableDiffusionXLPipeline}


@pytest.mark.parametrize("name", PIPELINES)
def test_diffusers_reads_its_file(name: str, workshop: Workshop, tmp_path: Path) -> None:
    with workshop.taught(name) as weights:
        model = weights.model
        learnt = begun(model)
        save_file(learnt.tensors(), tmp_path / "learnt.safetensors")
        with learnt.acting():
            expected = answers(model)
        pipeline = PIPELINES[name].from_pretrained(model.path, dtype=torch.float32)
        pipeline.load_lora_weights(tmp_path, weight_name="learnt.safetensors")
        networks = {part: getattr(pipeline, part) for part in parts(model)}
        assert largest_difference(answers(model, networks), expected) < CLOSE


def test_names_are_those_that_kohyas_scripts_write(workshop: Workshop) -> None:
    def names(model: str) -> list[str]:
        with workshop.taught(model) as weights:
            return [one.name for one in begun(weights.model).layers]

    sd1, sdxl = names("sd1"), names("sdxl")
    assert "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q" in sd1
    assert "lora_te_text_model_encoder_layers_0_self_attn_q_proj" in sd1
    assert "lora_unet_middle_block_1_transformer_blocks_0_attn2_to_out_0" in sdxl
    assert "lora_te1_text_model_encoder_layers_3_self_attn_out_proj" in sdxl
    assert "lora_te2_text_model_encoder_layers_0_self_attn_k_proj" in sdxl
    unet = re.compile(
        r"lora_unet_(input_blocks_\d+_1|middle_block_1|output_blocks_\d+_1)_transformer_blocks_\d_attn"
    )
    assert all(unet.match(one) or one.startswith(("lora_te1_", "lora_te2_")) for one in sdxl)


def test_every_layer_of_attention_learns(workshop: Workshop) -> None:
    for name in ("sd1", "sdxl"):
        with workshop.taught(name) as weights:
            attentions = [
                one for one, _ in weights.model.unet.named_modules() if re.search(r"attn[12]$", one)
            ]
            assert len(begun(weights.model, words=False).layers) == 4 * len(attentions)
