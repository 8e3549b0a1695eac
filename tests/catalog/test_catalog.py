from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from diffusionapi.catalog import scan
from diffusionapi.catalog.catalog import Catalog
from diffusionapi.errors import BadRequest, UnknownName
from tests.api.primary.seed_example import install_model
from tests.stubs import a_lora

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.catalog.scan import Installed
    from diffusionapi.settings import Settings

AMANATSU = "John6666__amanatsu-illustrious-v11-sdxl"
CHIKMIX = "models--digiplay--ChikMix_V3"


@pytest.fixture
def catalog(settings: Settings, tmp_path: Path) -> Catalog:
    for name in (AMANATSU, CHIKMIX, "stabilityai__stable-diffusion-xl-base-1.0"):
        install_model(tmp_path, name)
    (tmp_path / "stable_diffusion" / "models" / "Dream_Shaper-8.safetensors").touch()
    return Catalog(settings)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        (CHIKMIX, CHIKMIX),
        ("ChikMix V3", CHIKMIX),
        ("chikmix-v3", CHIKMIX),
        ("CHIKMIX_V3", CHIKMIX),
        ("digiplay/ChikMix_V3", CHIKMIX),
        ("Amanatsu", AMANATSU),
        (" amanatsu ", AMANATSU),
        ("John6666/amanatsu-illustrious-v11-sdxl", AMANATSU),
        ("amanatsu illustrious v11 sdxl", AMANATSU),
        ("stable-diffusion-xl-base-1.0", "stabilityai__stable-diffusion-xl-base-1.0"),
        ("dream shaper 8", "Dream_Shaper-8"),
        ("fake", "fake"),
    ],
)
def test_a_model_is_found_by_every_spelling_of_its_names(catalog: Catalog, spelling: str, name: str) -> None:
    assert catalog.model(spelling, "model").name == name


def test_a_label_is_of_its_model_by_whichever_way_it_came(settings: Settings, tmp_path: Path) -> None:
    pulled = "models--John6666--amanatsu-illustrious-v11-sdxl"
    install_model(tmp_path, pulled)
    assert Catalog(settings).model("Amanatsu", "model").name == pulled


def test_of_a_label_without_its_model_it_is_said_how_that_is_had(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(f'{{"{CHIKMIX}": "Chik Mix", "my-own": "Mine"}}')
    catalog = Catalog(settings.model_copy(update={"model_labels": tmp_path / "labels.json"}))
    with pytest.raises(BadRequest, match=r"not installed; .*models pull digiplay/ChikMix_V3 fetches it"):
        catalog.model("Chik Mix", "model")
    with pytest.raises(BadRequest, match=r"'Mine' \(my-own\) is not installed; known: fake"):
        catalog.model("Mine", "model")


def test_a_bare_name_that_two_models_share_is_asked_back(catalog: Catalog, tmp_path: Path) -> None:
    install_model(tmp_path, "models--other--ChikMix_V3")
    with pytest.raises(
        BadRequest, match=r"could be models--digiplay--ChikMix_V3 or models--other--ChikMix_V3"
    ):
        Catalog(catalog._settings).model("chikmix v3", "model")  # noqa: SLF001


def test_an_exact_name_wins_over_another_spelling(settings: Settings, tmp_path: Path) -> None:
    for name in ("my-model", "my_model"):
        install_model(tmp_path, name)
    assert Catalog(settings).model("my_model", "model").name == "my_model"


def test_an_unknown_model_comes_with_near_labels(catalog: Catalog) -> None:
    with pytest.raises(UnknownName) as caught:
        catalog.model("Amanatzu", "model")
    assert caught.value.near[0] == "Amanatsu"


def test_a_label_without_its_model_says_that_it_is_not_installed(catalog: Catalog) -> None:
    with pytest.raises(BadRequest, match=r"Pastel Mix.*models--mirroring--pastel-mix.*not installed"):
        catalog.model("Pastel Mix", "model")


def test_a_hub_cache_folder_is_a_model_at_any_depth(settings: Settings, tmp_path: Path) -> None:
    install_model(tmp_path, "models--org--name/snapshots/0123abcd")
    assert [one.name for one in Catalog(settings).models] == ["fake", "models--org--name"]


def test_textual_inversions_are_listed_as_prompts_find_them(settings: Settings) -> None:
    folder = settings.path(settings.embeddings_dir)
    for name in ("teal.pt", "styles/night.safetensors", "styles/teal.bin", "notes.txt", ".hidden.pt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert [one.name for one in Catalog(settings).embeddings] == ["night", "teal"]
    assert Catalog(settings).embedding("Night", "embeddings").path == folder / "styles/night.safetensors"


def test_a_request_without_a_model_gets_the_usual_one_when_it_is_there(
    settings: Settings, tmp_path: Path
) -> None:
    assert Catalog(settings).default_model("model").name == "fake"
    install_model(tmp_path, "runwayml__stable-diffusion-v1-5")
    assert Catalog(settings).default_model("model").name == "runwayml__stable-diffusion-v1-5"


def test_the_bundled_model_is_the_default_until_the_usual_one_is_installed(
    settings: Settings, tmp_path: Path
) -> None:
    install_model(tmp_path, "another-model")
    install_model(tmp_path, "picturebook")
    assert Catalog(settings).default_model("model").name == "picturebook"
    install_model(tmp_path, "runwayml__stable-diffusion-v1-5")
    assert Catalog(settings).default_model("model").name == "runwayml__stable-diffusion-v1-5"


def test_a_usual_model_that_is_still_being_downloaded_is_not_the_default(
    settings: Settings, tmp_path: Path
) -> None:
    install_model(tmp_path, "picturebook")
    install_model(tmp_path, "stable-diffusion-v1-5")
    weights = next((tmp_path / "stable_diffusion/models/stable-diffusion-v1-5").rglob("*.safetensors"))
    whole = weights.read_bytes()
    weights.unlink()
    assert Catalog(settings).default_model("model").name == "picturebook"
    weights.write_bytes(whole)
    assert Catalog(settings).default_model("model").name == "stable-diffusion-v1-5"


def test_the_operator_may_choose_the_default(settings: Settings, tmp_path: Path) -> None:
    install_model(tmp_path, CHIKMIX)
    chosen = settings.model_copy(update={"default_model": "ChikMix V3"})
    assert Catalog(chosen).default_model("model").name == CHIKMIX


def test_a_model_copied_in_later_is_seen(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadRequest):
        catalog.model("newcomer", "model")
    install_model(tmp_path, "newcomer")
    monkeypatch.setattr("diffusionapi.catalog.catalog._FRESH_SECONDS", 0)
    assert catalog.model("newcomer", "model").name == "newcomer"


def test_a_lora_that_came_this_instant_is_found_though_the_lists_are_younger_than_it_takes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("diffusionapi.catalog.catalog.time.monotonic", lambda: now[0])
    catalog = Catalog(settings)
    assert catalog.loras == []
    time.sleep(0.02)  # the clock of a folder's changes is a coarse one
    a_lora(settings.path(settings.loras_dir) / "a-dog.safetensors")
    assert [one.name for one in catalog.loras] == ["a-dog"]
    assert catalog.lora("a-dog", "loras").name == "a-dog"


def test_names_that_nothing_has_make_for_ten_looks_a_second_at_most(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, looks, models = [1000.0], [], scan.models

    def counted(settings: Settings) -> list[Installed]:
        looks.append(now[0])
        return models(settings)

    monkeypatch.setattr("diffusionapi.catalog.catalog.time.monotonic", lambda: now[0])
    monkeypatch.setattr(scan, "models", counted)
    catalog = Catalog(settings)
    for _ in range(100):
        now[0] += 0.01
        with pytest.raises(UnknownName):
            catalog.lora("nobodys", "loras")
        with pytest.raises(UnknownName):
            catalog.model("nobodys", "model")
    assert 5 <= len(looks) <= 11


def test_upscalers_and_loras_are_found_whatever_their_case(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "stable_diffusion" / "loras"
    folder.mkdir(parents=True)
    (folder / "Night_Style.safetensors").touch()
    catalog = Catalog(settings)
    assert catalog.lora("night-style", "loras[0]").name == "Night_Style"
    assert catalog.upscaler("latent", "hires.upscaler").name == "Latent"


def test_models_of_further_folders_are_found_too(settings: Settings, tmp_path: Path) -> None:
    elsewhere = tmp_path / "hub"
    unet = elsewhere / "models--org--name" / "snapshots" / "0123abcd" / "unet"
    unet.mkdir(parents=True)
    (unet / "config.json").write_text("{}")
    catalog = Catalog(settings.model_copy(update={"model_roots": (elsewhere,)}))
    assert catalog.model("org/name", "model").path == elsewhere / "models--org--name"
