"""ControlNets and hints that cannot be used are refused before the job waits, with the field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from diffusionapi.catalog.catalog import Catalog
from diffusionapi.catalog.matching import Named, check
from diffusionapi.core.hints import HINTS
from diffusionapi.errors import BadRequest
from diffusionapi.weights.families import LABELS, Family
from tests import stubs

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.settings import Settings

FAMILIES: list[Family] = ["sd1", "sd2", "sdxl"]


@pytest.fixture
def catalog(settings: Settings) -> Catalog:
    for family in FAMILIES:
        stubs.a_model(settings.path(settings.models_dir) / f"my-{family}", family)
        stubs.a_controlnet(settings.path(settings.controlnet_dir) / f"for-{family}", family)
    return Catalog(settings)


def look(catalog: Catalog, model: str, *nets: str) -> None:
    check(
        catalog,
        Named(catalog.model(model, "model_id"), "model_id"),
        None,
        [],
        controls=[Named(catalog.controlnet(net, "controlnet_model"), "controlnet_model") for net in nets],
    )


@pytest.mark.parametrize("net", FAMILIES)
@pytest.mark.parametrize("model", FAMILIES)
def test_a_net_goes_with_models_of_its_family(catalog: Catalog, model: Family, net: Family) -> None:
    if model == net:
        look(catalog, f"my-{model}", f"for-{net}", f"for-{net}")
        return
    with pytest.raises(BadRequest) as caught:
        look(catalog, f"my-{model}", f"for-{model}", f"for-{net}")
    assert caught.value.field == "controlnet_model"
    assert caught.value.problem == (
        f"'for-{net}' was made for {LABELS[net]}, and the model 'my-{model}' is {LABELS[model]}"
    )


def test_a_file_that_is_none_is_refused_with_its_reason(settings: Settings) -> None:
    stubs.a_model(settings.path(settings.models_dir) / "my-sd1")
    stubs.a_lora(settings.path(settings.controlnet_dir) / "a-lora.safetensors")
    with pytest.raises(
        BadRequest, match=r"controlnet_model: .*a-lora\.safetensors cannot be used: it is a LoRA"
    ):
        look(Catalog(settings), "my-sd1", "a-lora")


def test_hints_without_a_network_are_ready(settings: Settings) -> None:
    ready = {hint for hint in HINTS if Catalog(settings).hint_ready(hint) is None}
    assert ready == {"none", "canny", "scribble", "lineart", "shuffle", "tile", "inpaint"}


@pytest.mark.parametrize("hint", ["hed", "softedge", "mlsd", "openpose", "depth", "normal", "segmentation"])
def test_a_hint_is_ready_when_its_network_is_there(settings: Settings, hint: str) -> None:
    sentence = Catalog(settings).hint_ready(hint)
    assert sentence is not None
    assert repr(hint) in sentence
    assert "stable_diffusion/hints" in sentence
    folder = settings.path(settings.hints_dir)
    install(folder)
    assert Catalog(settings).hint_ready(hint) is None


def install(folder: Path) -> None:
    for name in ("ControlNetHED.pth", "mlsd_large_512_fp32.pth", "body_pose_model.pth"):
        stubs.a_file(folder / name, {})
    for name in ("depth", "segmentation"):
        stubs.a_file(folder / name / "model.safetensors", {})
        (folder / name / "config.json").write_text("{}")


def test_an_unknown_hint_is_told_the_known_ones(settings: Settings) -> None:
    sentence = Catalog(settings).hint_ready("cany")
    assert sentence is not None
    assert "canny" in sentence
