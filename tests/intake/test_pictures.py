"""Files of strangers become PNGs of ours, or a sentence."""

from __future__ import annotations

import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from diffusionapi.errors import BadPicture, PictureTooLarge
from diffusionapi.intake.pictures import remade
from tests.intake import pictures
from tests.intake.pictures import a_file, a_picture, opened
from tests.server import PROJECT

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
"""The library warns of broken metadata, which break no picture."""

LIMIT = 16_777_216
FILES = {kind: a_file(kind=kind) for kind in ("PNG", "JPEG", "WEBP")}


def taken(content: bytes) -> Image.Image:
    picture = opened(remade(content, "RGB", "init_image", LIMIT))
    assert picture.mode == "RGB"
    return picture


@pytest.mark.parametrize("kind", FILES)
def test_the_three_formats_are_taken(kind: str) -> None:
    picture = taken(FILES[kind])
    assert picture.size == (48, 32)
    red, green, blue = picture.getpixel((40, 4))  # type: ignore[misc]
    assert red > 200 > 60 > max(green, blue)


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_every_kind_of_webp_is_taken(mode: str, options: dict[str, object]) -> None:
    assert taken(a_file(a_picture(mode=mode), "WEBP", **options)).size == (48, 32)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "ICO", "PPM", "TGA"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(BadPicture, match=r"^init_image: this is no PNG, JPEG or WebP$"):
        taken(a_file(a_picture((32, 32)), kind))


@pytest.mark.parametrize(
    "content", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"%!PS", b"\xff"]
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(BadPicture):
        taken(content)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_pixel_is_taken(mode: str) -> None:
    grey = mode in ("1", "L", "LA", "I;16")
    source = a_picture(mode="L").convert("I;16") if mode == "I;16" else a_picture(mode=mode)
    if mode == "I;16":
        source = source.point(lambda value: value * 257)
    picture = taken(a_file(source))
    expected = a_picture(mode=mode if mode == "1" else "L").convert("RGB") if grey else a_picture()
    assert picture.tobytes() == expected.tobytes()


def test_cmyk_is_converted() -> None:
    red, green, blue = taken(a_file(a_picture(mode="CMYK"), "JPEG", quality=95)).getpixel((40, 4))  # type: ignore[misc]
    assert red > 200 > 60 > max(green, blue)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_what_is_transparent_becomes_white(mode: str) -> None:
    if mode == "RGB":
        content = a_file(Image.new(mode, (8, 8), (1, 2, 3)), transparency=(1, 2, 3))
    elif mode == "P":
        content = a_file(a_picture(mode=mode), transparency=bytes(256))
    else:
        source = a_picture(mode=mode)
        source.putalpha(0)
        content = a_file(source)
    assert set(taken(content).get_flattened_data()) == {(255, 255, 255)}


def test_half_transparent_is_half_white() -> None:
    source = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert taken(a_file(source)).getpixel((0, 0)) == (127, 127, 127)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_obeyed(kind: str, orientation: int) -> None:
    back = [
        None,
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.ROTATE_180,
        Image.Transpose.FLIP_TOP_BOTTOM,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.ROTATE_90,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_270,
    ][orientation - 1]
    upright = a_picture((64, 48))
    stored = upright if back is None else upright.transpose(back)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    picture = taken(a_file(stored, kind, exif=exif, **options))
    assert picture.size == upright.size
    for place in ((4, 4), (60, 4), (4, 44)):
        seen, meant = picture.getpixel(place), upright.getpixel(place)
        assert max(abs(one - other) for one, other in zip(seen, meant, strict=True)) < 40  # type: ignore[arg-type]


def test_an_orientation_told_after_the_pixels_is_obeyed() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = FILES["PNG"]
    late = content[:-12] + pictures.chunk(b"eXIf", exif.tobytes()[6:]) + content[-12:]
    assert taken(late).size == (32, 48)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0nonsense", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"]
)
def test_broken_metadata_does_not_break_a_picture(exif: bytes) -> None:
    assert taken(a_file(kind="JPEG", exif=exif)).size == (48, 32)


def test_nothing_of_the_metadata_is_kept() -> None:
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    content = pictures.with_chunk(a_file(exif=exif), b"tEXt", b"parameters\0a secret prompt")
    made = remade(content, "RGB", "image", LIMIT)
    assert opened(made).info == {}
    assert b"where" not in made
    assert b"secret" not in made


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_a_moving_picture_the_first_frame_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    moving = a_file(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, lossless=True)
    red, green, blue = taken(moving).getpixel((8, 8))  # type: ignore[misc]
    assert red > 240 > 20 > max(green, blue)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_a_file_that_is_cut_off_is_refused_with_a_sentence(kind: str, share: float) -> None:
    noise = Image.effect_noise((128, 128), 90).convert("RGB")
    content = a_file(noise, kind)
    with pytest.raises(BadPicture, match=r"init_image: .*(damaged or cut off|no PNG, JPEG or WebP)"):
        taken(content[: int(len(content) * share)])


def test_a_mask_has_one_channel() -> None:
    mask = opened(remade(a_file(a_picture(mode="RGBA")), "L", "mask", LIMIT))
    assert mask.mode == "L"
    assert mask.tobytes() == a_picture(mode="L").tobytes()


# --- made to harm ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        pictures.claiming(60_000, 60_000),
        pictures.claiming(2**31 - 1, 2**31 - 1),
        pictures.jpeg_claiming(65_500, 65_500),
        pictures.webp_claiming(16_384, 16_384),
    ],
    ids=["png", "largest png", "jpeg", "webp"],
)
def test_a_picture_that_claims_too_many_pixels_is_refused(content: bytes) -> None:
    with pytest.raises(
        PictureTooLarge, match=r"init_image: the picture has \d+x\d+ pixels, more than 16777216"
    ):
        taken(content)


def test_the_limit_itself_is_taken_and_one_row_more_is_not() -> None:
    assert opened(remade(a_file(a_picture((64, 64))), "RGB", "image", 4096)).size == (64, 64)
    with pytest.raises(PictureTooLarge):
        remade(a_file(a_picture((64, 65))), "RGB", "image", 4096)


def test_a_thread_of_a_picture_is_refused() -> None:
    with pytest.raises(BadPicture, match="one side may be 100 times the other"):
        taken(a_file(Image.new("RGB", (4000, 2))))


def test_a_picture_without_pixels_is_refused() -> None:
    with pytest.raises(BadPicture, match="no pixels"):
        taken(pictures.claiming(0, 5))


def test_a_jpeg_that_says_its_size_twice_is_refused() -> None:
    content = FILES["JPEG"]
    at = content.index(b"\xff\xc0")
    second = bytearray(content[at : at + 19])
    second[5:9] = b"\xff\xff\xff\xff"
    with pytest.raises(BadPicture, match="two frames"):
        taken(content[:at] + content[at : at + 19] + bytes(second) + content[at + 19 :])


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    assert taken(pictures.jpeg_of_scans(2)).size == (256, 256)
    with pytest.raises(BadPicture, match="more than 64 scans"):
        taken(pictures.jpeg_of_scans(1000))


_MEASURE = """
import resource, sys
from diffusionapi.intake.pictures import remade
from diffusionapi.errors import BadPicture
remade(open(sys.argv[1], "rb").read(), "RGB", "image", 16_777_216)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    remade(open(sys.argv[2], "rb").read(), "RGB", "image", 16_777_216)
except BadPicture:
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def _bombs() -> dict[str, bytes]:
    zeros = zlib.compress(bytes(200 * 2**20), 9)
    whole = FILES["PNG"]
    return {
        "claims": pictures.claiming(60_000, 60_000),
        "webp": pictures.webp_claiming(16_384, 16_384),
        "jpeg": pictures.jpeg_claiming(65_500, 65_500),
        "zTXt": pictures.with_chunk(whole, b"zTXt", b"parameters\0\0" + zeros),
        "iTXt": pictures.with_chunk(whole, b"iTXt", b"parameters\0\1\0\0\0" + zeros),
        "iCCP": pictures.with_chunk(whole, b"iCCP", b"profile\0\0" + zeros),
        "IDAT": pictures.claiming(1, 1)[:33] + pictures.chunk(b"IDAT", zeros) + pictures.chunk(b"IEND", b""),
    }


def test_bombs_cost_little_memory(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("bombs")
    (folder / "whole").write_bytes(FILES["PNG"])
    for name, bomb in _bombs().items():
        (folder / name).write_bytes(bomb)
        program = [sys.executable, "-c", _MEASURE, str(folder / "whole"), str(folder / name)]
        done = subprocess.run(program, capture_output=True, text=True, check=True, cwd=PROJECT)
        assert int(done.stdout) < 50 * 1024, name  # KiB


@pytest.mark.parametrize("name", ["zTXt", "iTXt", "iCCP"])
def test_a_picture_with_a_bomb_for_its_metadata_is_taken_without_it(name: str) -> None:
    assert taken(_bombs()[name]).tobytes() == a_picture().tobytes()


def _survives(content: bytes) -> None:
    try:
        made = remade(content, "RGB", "image", LIMIT)
    except BadPicture as refusal:
        assert refusal.sentence.startswith("image: ")
    else:
        opened(made)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBPVP8X"]),
    st.binary(),
)
def test_random_bytes_are_a_picture_or_a_sentence(start: bytes, rest: bytes) -> None:
    _survives(start + rest)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=8),
)
def test_damaged_files_are_a_picture_or_a_sentence(kind: str, damage: list[tuple[int, int]]) -> None:
    content = bytearray(FILES[kind])
    for place, value in damage:
        content[place % len(content)] = value
    _survives(bytes(content))


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (40, 40)])
def test_the_square_in_the_middle_is_cut_out_and_scaled(size: tuple[int, int]) -> None:
    """White around, and a black square of a third of the shorter side in its midst."""
    picture = Image.new("RGB", size, "white")
    third, (x, y) = min(size) // 6, (size[0] // 2, size[1] // 2)
    picture.paste("black", (x - third, y - third, x + third, y + third))
    cut = opened(remade(a_file(picture), "RGB", "image", LIMIT, 90))
    assert cut.size == (90, 90)
    assert cut.getpixel((45, 45)) == (0, 0, 0)
    assert {cut.getpixel(place) for place in ((2, 2), (87, 2), (2, 45), (45, 87))} == {(255, 255, 255)}
