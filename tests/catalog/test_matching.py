"""What does not go together is refused with the field, what it is and what would be right."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from diffusionapi.catalog.catalog import Catalog
from diffusionapi.catalog.matching import Named, check
from diffusionapi.errors import BadRequest, UnknownName
from diffusionapi.weights import header
from diffusionapi.weights.families import LABELS, Family
from tests import stubs

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.catalog.scan import Installed
    from diffusionapi.settings import Settings

FAMILIES: tuple[Family, ...] = tuple(LABELS)


@pytest.fixture
def catalog(settings: Settings) -> Catalog:
    for family in FAMILIES:
        stubs.a_model(settings.path(settings.models_dir) / f"my-{family}", family)
        stubs.a_lora(settings.path(settings.loras_dir) / f"for-{family}.safetensors", family)
    return Catalog(settings)


def look(catalog: Catalog, model: str, *loras: str, refiner: str | None = None) -> None:
    check(
        catalog,
        Named(catalog.model(model, "model"), "model"),
        Named(catalog.model(refiner, "second"), "second") if refiner else None,
        [Named(catalog.lora(lora, "loras"), f"loras[{place}]") for place, lora in enumerate(loras)],
    )


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_a_lora_goes_with_its_family(catalog: Catalog, family: Family) -> None:
    look(catalog, f"my-{family}", f"for-{family}", f"for-{family}")


def test_a_lora_for_a_text_of_another_width_is_refused(settings: Settings, catalog: Catalog) -> None:
    """As one for the picture book, whose width is of no family's."""
    width = 96
    listening = {
        f"{stubs.LISTENING}.lora_down.weight": (1, width),
        f"{stubs.LISTENING}.lora_up.weight": (320, 1),
    }
    stubs.a_file(settings.path(settings.loras_dir) / "narrow.safetensors", listening)
    with pytest.raises(BadRequest) as caught:
        look(catalog, "my-sd1", "narrow")
    assert caught.value.field == "loras[0]"
    assert caught.value.problem == (
        "'narrow' was made for a model that is told 96 values of each token, and 'my-sd1' is told 768"
    )


@pytest.mark.parametrize("model", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize("lora", FAMILIES)
def test_a_lora_of_another_family_is_refused(catalog: Catalog, model: Family, lora: Family) -> None:
    if model == lora:
        return
    with pytest.raises(BadRequest) as caught:
        look(catalog, f"my-{model}", f"for-{model}", f"for-{lora}")
    assert caught.value.field == "loras[1]"
    assert caught.value.problem == (
        f"'for-{lora}' was made for {LABELS[lora]}, and the model 'my-{model}' is {LABELS[model]}"
    )


def test_a_refiner_refines_sdxl(catalog: Catalog) -> None:
    look(catalog, "my-sdxl", "for-sdxl", refiner="my-refiner")


@pytest.mark.parametrize(
    ("model", "refiner", "sentence"),
    [
        ("my-sd1", "my-refiner", "second: a refiner goes with SDXL models only, and 'my-sd1' is SD 1.x"),
        ("my-sdxl", "my-sdxl", "second: 'my-sdxl' is SDXL; name an SDXL refiner, or none"),
        ("my-sdxl", "my-sd2", "second: 'my-sd2' is SD 2.x; name an SDXL refiner, or none"),
        (
            "my-refiner",
            None,
            "model: 'my-refiner' is an SDXL refiner; name it as the refiner of an SDXL model",
        ),
    ],
)
def test_what_is_no_refiner_or_has_none_is_refused(
    catalog: Catalog, model: str, refiner: str | None, sentence: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        look(catalog, model, refiner=refiner)
    assert caught.value.sentence == sentence


def test_the_built_in_model_goes_with_everything_that_is_whole(catalog: Catalog) -> None:
    look(catalog, "fake", "for-sd1", "for-sdxl", refiner="my-refiner")


def test_a_half_downloaded_model_is_refused_with_its_file(catalog: Catalog, settings: Settings) -> None:
    weights = settings.path(settings.models_dir) / "my-sdxl" / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5])
    sentence = (
        "model: my-sdxl/unet/diffusion_pytorch_model.safetensors cannot be used: "
        "it is cut short at 5 bytes; fetch it again"
    )
    for _ in range(2):
        with pytest.raises(BadRequest) as caught:
            look(catalog, "my-sdxl")
        assert caught.value.sentence == sentence
    weights.unlink()
    with pytest.raises(
        BadRequest, match=r"^second: my-sdxl/unet/.* cannot be used: it is missing; the downl"
    ):
        look(Catalog(settings), "fake", refiner="my-sdxl")


def test_a_broken_lora_is_refused_with_its_file(catalog: Catalog, settings: Settings) -> None:
    folder = settings.path(settings.loras_dir)
    (folder / "for-sd1.safetensors").write_bytes(b"<!DOCTYPE html><html>404</html>")
    stubs.a_file(folder / "loha.safetensors", {f"{stubs.LISTENING}.hada_w1_a": (1, 1)})
    with pytest.raises(
        BadRequest, match=r"^loras\[0\]: .*for-sd1\.safetensors cannot be used: it is a web pa"
    ):
        look(catalog, "my-sd1", "for-sd1")
    with pytest.raises(
        BadRequest, match=r"^loras\[0\]: 'loha' is a LoHa; this server applies LoRA and LoCon"
    ):
        look(Catalog(settings), "my-sd1", "loha")


PLACES = {"model": "models_dir", "LoRA": "loras_dir", "VAE": "vaes_dir", "ControlNet": "controlnet_dir"}


def installed_of(catalog: Catalog, kind: str) -> Installed:
    find = {"model": catalog.model, "LoRA": catalog.lora, "VAE": catalog.vae}.get(kind, catalog.controlnet)
    return find("gone", "field")


@pytest.fixture
def going(settings: Settings) -> Catalog:
    """Has one of each kind that goes away in a test."""
    stubs.a_model(settings.path(settings.models_dir) / "stays", "sd1")
    stubs.a_model(settings.path(settings.models_dir) / "gone", "sd1")
    stubs.a_lora(settings.path(settings.loras_dir) / "gone.safetensors", "sd1")
    for folder in (settings.vaes_dir, settings.controlnet_dir):
        stubs.a_file(settings.path(folder) / "gone.safetensors", {})
    return Catalog(settings)


def remove(settings: Settings, kind: str) -> None:
    place = settings.path(getattr(settings, PLACES[kind]))
    if kind == "model":
        shutil.rmtree(place / "gone")
    else:
        (place / "gone.safetensors").unlink()


@pytest.mark.parametrize("kind", PLACES)
def test_a_file_that_went_away_a_moment_ago_is_an_unknown_name(
    going: Catalog, settings: Settings, kind: str
) -> None:
    installed_of(going, kind)
    remove(settings, kind)
    with pytest.raises(UnknownName, match=f"unknown {kind} 'gone'"):
        installed_of(going, kind)


@pytest.mark.parametrize("kind", PLACES)
def test_so_is_one_that_goes_away_before_it_is_looked_into(
    going: Catalog, settings: Settings, kind: str
) -> None:
    stays, named = Named(going.model("stays", "model"), "model"), Named(installed_of(going, kind), "field")
    remove(settings, kind)
    with pytest.raises(UnknownName, match=f"^field: unknown {kind} 'gone'") as caught:
        check(
            going,
            named if kind == "model" else stays,
            None,
            [named] if kind == "LoRA" else [],
            vae=named if kind == "VAE" else None,
            controls=[named] if kind == "ControlNet" else [],
        )
    assert "safetensors" not in caught.value.sentence


def test_a_default_that_went_away_gives_way_to_another(going: Catalog, settings: Settings) -> None:
    assert going.default_model("model").name == "fake"
    fakeless = Catalog(settings.model_copy(update={"engine": "diffusers"}))
    assert fakeless.default_model("model").name == "gone"
    remove(settings, "model")
    assert fakeless.default_model("model").name == "stays"


def test_a_mended_file_is_seen(catalog: Catalog, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    lora = settings.path(settings.loras_dir) / "for-sd1.safetensors"
    whole = lora.read_bytes()
    lora.write_bytes(b"")
    with pytest.raises(BadRequest):
        look(catalog, "my-sd1", "for-sd1")
    lora.write_bytes(whole)
    monkeypatch.setattr("diffusionapi.catalog.catalog._FRESH_SECONDS", 0)
    look(catalog, "my-sd1", "for-sd1")


def test_no_file_is_opened_to_look_again(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    look(catalog, "my-sdxl", "for-sdxl", refiner="my-refiner")

    def opened(path: Path) -> None:
        raise AssertionError(f"{path} was looked at again")

    monkeypatch.setattr(header, "stamp", opened)
    monkeypatch.setattr("diffusionapi.weights.inspection.stamp", opened)
    monkeypatch.setattr("diffusionapi.weights.lora_kind.stamp", opened)
    look(catalog, "my-sdxl", "for-sdxl", refiner="my-refiner")


@pytest.mark.parametrize(
    ("model", "vae", "sentence"),
    [
        ("my-sd1", "sd1-vae", None),
        ("my-sd2", "sd1-vae", None),
        ("my-sdxl", "sdxl-vae", None),
        ("my-sdxl", "sd1-vae", "vae: 'sd1-vae' is for latents of another kind: it scales them by 0.18215, "),
        ("my-sd1", "sdxl-vae", "vae: 'sdxl-vae' is for latents of another kind: it scales them by 0.13025, "),
        ("my-sd1", "lora", "it is a LoRA; put it into the folder of LoRAs"),
    ],
)
def test_a_vae_goes_with_models_of_its_latents(
    catalog: Catalog, settings: Settings, model: str, vae: str, sentence: str | None
) -> None:
    folder = settings.path(settings.vaes_dir)
    for family in ("sd1", "sdxl"):
        stubs.a_vae(folder / f"{family}-vae", family)
    stubs.a_lora(folder / "lora.safetensors")
    named = Named(catalog.vae(vae, "vae"), "vae")
    asked = (catalog, Named(catalog.model(model, "model"), "model"), None, ())
    if sentence is None:
        check(*asked, vae=named)
        return
    with pytest.raises(BadRequest) as caught:
        check(*asked, vae=named)
    assert caught.value.field == "vae"
    assert sentence in str(caught.value)
