"""Pictures made larger: given ones, and those that have just been painted."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from diffusionapi.core.events import Failed, Phase, Step
from diffusionapi.core.request import Upscale
from diffusionapi.core.work import UpscaleRequest
from diffusionapi.engine.engine import Rendered
from diffusionapi.engine.faces.detector import Detector, Face
from diffusionapi.engine.faces.geometry import TEMPLATE
from diffusionapi.infotext.files import texts
from tests import miniatures
from tests.engine.faces.restorers import make_restoreformer
from tests.engine.rendering import a_photo, difference, make_engine, make_house, picture, run, upload
from tests.engine.upscalers import esrgan
from tests.factories import a_request
from tests.server import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.engine.engine import EngineEvent
    from diffusionapi.settings import Settings

PHOTO = a_photo(250, 60)


@pytest.fixture
def house(tmp_path: Path, sd1_folder: Path) -> Settings:
    settings = make_house(tmp_path, {"mini": sd1_folder})
    folder = settings.path(settings.upscalers_dir)
    folder.mkdir(parents=True)
    save_file(esrgan.nearest_weights(4, "old"), folder / "nearest-x4.safetensors")
    return settings


def asked(house: Settings, given_picture: Image.Image = PHOTO, **fields: Any) -> UpscaleRequest:
    given: dict[str, Any] = {
        "upscaler": "Lanczos",
        "scale": 2.0,
        "faces": False,
        "file_type": "png",
        "quality": 85,
    } | fields
    return UpscaleRequest(upload=upload(house, given_picture), **given)


def larger(house: Settings, given_picture: Image.Image = PHOTO, **fields: Any) -> list[EngineEvent]:
    return run(make_engine(house), it=asked(house, given_picture, **fields))["it"]


def a_drawing() -> Image.Image:
    """Clean edges in every direction."""
    page = Image.new("RGB", (960, 960), "#f4f1e8")
    pen = ImageDraw.Draw(page)
    pen.ellipse((160, 140, 620, 600), "#d83a2e")
    pen.polygon([(520, 900), (700, 420), (900, 880)], "#2e62c8")
    pen.rectangle((80, 640, 420, 880), "#3f9b4f")
    return page.reduce(4)


def failure(events: list[EngineEvent]) -> str:
    assert isinstance(events[-1], Failed), events[-1]
    return events[-1].failure.sentence


@pytest.mark.parametrize(("name", "filter_"), [("Lanczos", 1), ("Nearest", 0)])
@pytest.mark.parametrize("scale", [1, 1.37, 4])
def test_what_needs_no_network_is_pillows(house: Settings, name: str, filter_: int, scale: float) -> None:
    size = round(250 * scale), round(60 * scale)
    made = picture(larger(house, upscaler=name, scale=scale))
    assert made.tobytes() == PHOTO.resize(size, Image.Resampling(filter_)).tobytes()


def test_a_network_reaches_the_size_to_the_pixel(house: Settings) -> None:
    made = picture(larger(house, upscaler="nearest-x4", scale=3))
    wanted = PHOTO.resize((1000, 240), Image.Resampling.NEAREST).resize((750, 180), Image.Resampling.LANCZOS)
    assert made.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("scale", [2, 4])
def test_the_enlargers_that_come_with_the_project_draw_edges_better_than_lanczos(
    house: Settings, scale: int
) -> None:
    file = f"picturebook-x{scale}.safetensors"
    folder = house.path(house.upscalers_dir)
    (folder / file).symlink_to(PROJECT / "stable_diffusion" / "upscalers" / file)
    drawing = a_drawing()
    small = drawing.resize((240 // scale, 240 // scale), Image.Resampling.LANCZOS)
    by_network, by_lanczos = (
        difference(picture(larger(house, small, upscaler=name, scale=scale)), drawing)
        for name in (f"picturebook-x{scale}", "Lanczos")
    )
    assert by_network < 0.75 * by_lanczos


def test_it_tells_phases_and_tile_by_tile_how_far_it_is(house: Settings) -> None:
    events = larger(house, upscaler="nearest-x4", scale=4, file_type="jpg", quality=90)
    assert [one.name for one in events if isinstance(one, Phase)] == ["loading", "upscaling", "saving"]
    steps = [one for one in events if isinstance(one, Step)]
    assert [(one.step, one.steps, one.fraction) for one in steps] == [(50, 100, 0.5), (100, 100, 1.0)]
    last = events[-1]
    assert isinstance(last, Rendered)
    assert (last.width, last.height, last.sampled) == (1000, 240, None)
    kept = texts(last.content)
    assert kept is not None
    assert kept.settings is None
    assert picture(events).format == "JPEG"


def test_it_can_be_cancelled_between_tiles(house: Settings) -> None:
    engine = make_engine(house)
    engine.admit("it", asked(house, upscaler="nearest-x4", scale=4))
    while not any(isinstance(event, Step) for _, event in engine.step(0)):
        pass
    engine.cancel("it")
    assert [event.kind for _, event in engine.step(0)] == ["cancelled"]


def test_what_cannot_be_is_refused(house: Settings) -> None:
    assert "'Latent' enlarges latents only" in failure(larger(house, upscaler="Latent"))
    assert "unknown upscaler 'lancos'" in failure(larger(house, upscaler="lancos"))
    assert "scale: " in failure(larger(house, scale=4.5))
    assert "GFPGANv1.4.pth" in failure(larger(house, faces=True))
    small = house.model_copy(update={"max_side": 64})
    assert "no side may be longer than 256 pixels" in failure(larger(small, scale=2))


def test_faces_are_restored_where_they_are_found(house: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = house.path(house.faces_dir)
    folder.mkdir(parents=True)
    make_restoreformer(folder / "RestoreFormer.pth")
    (folder / "face_detection_yunet_2023mar.onnx").touch()
    monkeypatch.setattr(Detector, "__init__", lambda *_: None)
    face = Face((TEMPLATE - 256) * 0.08 + (40, 30), 0.9)
    monkeypatch.setattr(Detector, "faces", lambda *_: [face])
    events = larger(house, faces=True)
    without = PHOTO.resize((500, 120), Image.Resampling.LANCZOS)
    made = picture(events)
    assert made.crop((150, 0, 500, 120)).tobytes() == without.crop((150, 0, 500, 120)).tobytes()
    assert difference(made.crop((60, 40, 100, 80)), without.crop((60, 40, 100, 80))) > 5
    fractions = [one.fraction for one in events if isinstance(one, Step)]
    assert fractions == [1.0]
    assert picture(larger(house, faces=True)).tobytes() == made.tobytes()


# --- after painting -------------------------------------------------------------------------------------


def test_a_painted_picture_is_made_larger_before_it_is_saved(house: Settings) -> None:
    request = a_request(model="mini", upscale=Upscale("nearest-x4", 4, faces=False))
    told = run(make_engine(house), plain=a_request(model="mini"), larger=request)
    plain, made = picture(told["plain"]), picture(told["larger"])
    assert made.tobytes() == plain.resize((256, 256), Image.Resampling.NEAREST).tobytes()
    assert [one.name for one in told["larger"] if isinstance(one, Phase)][-1] == "upscaling"
    fractions = [one.fraction for one in told["larger"] if isinstance(one, Step)]
    assert all(one <= other for one, other in itertools.pairwise(fractions))
    assert fractions[-2:] == [0.8, 1.0]
    last = told["larger"][-1]
    assert isinstance(last, Rendered)
    assert (last.width, last.height) == (256, 256)


def test_the_safety_checker_sees_it_before_and_what_it_objects_to_stays_unseen(house: Settings) -> None:
    miniatures.make_safety_checker(house.path(house.safety_checker_dir), threshold=-2)
    upscale = Upscale("nearest-x4", 2, faces=False)
    request = a_request(model="mini", upscale=upscale, safety="required", blanking="black")
    events = run(make_engine(house), it=request)["it"]
    assert picture(events).size == (128, 128)
    assert picture(events).getextrema() == ((0, 0),) * 3


def test_an_upscaler_that_is_none_for_pictures_is_refused_before_anything_is_painted(house: Settings) -> None:
    request = a_request(model="mini", upscale=Upscale("Latent (bicubic)", 2, faces=False))
    events = run(make_engine(house), it=request)["it"]
    assert "enlarges latents only" in failure(events)
    assert not any(isinstance(one, Step) for one in events)
