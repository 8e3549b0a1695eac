"""What clients give becomes an upload, whatever form it has."""

from __future__ import annotations

import asyncio
import base64
import logging
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from diffusionapi.blobs.folder import FolderBlobs, FolderUploads
from diffusionapi.errors import BadPicture, NotFetched, PictureGone, PictureTooLarge, UnknownPicture
from diffusionapi.intake.intake import Intake
from tests.folders import folder_of
from tests.intake import pictures
from tests.intake.listener import Listener, a_redirect, an_answer
from tests.intake.pictures import a_file, a_picture, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.settings import Settings

FILE = a_file(kind="JPEG")
HERE = "http://pictures.test:7866/"


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    blobs = FolderBlobs(tmp_path / "outputs")
    blobs.put("done.png", a_file())
    return blobs


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"base_url": "https://art.example/api", "max_upload_mb": 1})


@pytest.fixture
def intake(settings: Settings, blobs: FolderBlobs, tmp_path: Path) -> Iterator[Intake]:
    intake = Intake(settings, FolderUploads(tmp_path / "uploads"), blobs)
    yield intake
    intake.close()


@pytest.fixture
def open_intake(settings: Settings, blobs: FolderBlobs, tmp_path: Path) -> Iterator[Intake]:
    """Of an operator who allows private addresses."""
    settings = settings.model_copy(update={"allow_private_urls": True, "fetch_timeout": 5})
    intake = Intake(settings, FolderUploads(tmp_path / "uploads"), blobs)
    yield intake
    intake.close()


def take(intake: Intake, given: str | bytes, here: str = HERE) -> Image.Image:
    name = asyncio.run(intake.picture(given, "init_image", here=here))
    picture = opened(intake.uploads.get(name))
    assert picture.size == intake.uploads.size(name)
    assert picture.mode == "RGB"
    return picture


@pytest.mark.parametrize(
    "given",
    [
        FILE,
        base64.b64encode(FILE).decode(),  # it begins with a slash, as paths do
        base64.b64encode(a_file()).decode(),
        f"data:image/png;base64,{base64.b64encode(FILE).decode()}",
        f"  data:,{''.join(f'%{one:02x}' for one in FILE)}\n",
    ],
)
def test_a_picture_in_any_form_becomes_an_upload(intake: Intake, given: str | bytes) -> None:
    assert take(intake, given).size == (48, 32)


def test_a_mask_becomes_an_upload_of_one_channel(intake: Intake) -> None:
    name = asyncio.run(intake.mask(a_file(a_picture(mode="RGBA")), "mask"))
    assert opened(intake.uploads.get(name)).mode == "L"


def test_the_same_picture_given_twice_is_two_uploads_that_do_not_depend_on_each_other(intake: Intake) -> None:
    names = {asyncio.run(intake.picture(FILE, "image")) for _ in range(2)}
    assert len(names) == 2


@pytest.mark.parametrize(
    "given", [b"", "", b"text", "aGVsbG8=", "hello", b"\x89PNG\r\n\x1a\n", "example.org/a.png"]
)
def test_what_is_no_picture_is_refused_and_nothing_is_kept(intake: Intake, given: str | bytes) -> None:
    with pytest.raises(BadPicture, match=r"^init_image: "):
        take(intake, given)
    assert list(folder_of(intake.uploads).iterdir()) == []


def test_what_is_too_large_is_refused_and_the_limit_is_named(intake: Intake) -> None:
    for given in (bytes(2**20 + 1), base64.b64encode(bytes(2**20 + 1)).decode()):
        with pytest.raises(PictureTooLarge, match="init_image: the picture is larger than 1 MiB"):
            take(intake, given)
    with pytest.raises(PictureTooLarge, match="60000x60000 pixels"):
        take(intake, pictures.claiming(60_000, 60_000))


# --- pictures of ours ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://art.example/api/images/done.png",
        "http://ART.example:80/api/images/done.png?size=1#a",
        "http://pictures.test:7866/images/done.png",
        "https://Pictures.Test:7866/images/done.png",
        "/images/done.png",
        "/images/d%6fne.png",
    ],
)
def test_a_url_of_ours_is_read_from_the_folder(intake: Intake, url: str) -> None:
    assert take(intake, url).tobytes() == a_picture().tobytes()


def test_a_picture_of_ours_may_be_a_larger_file_than_one_of_others(
    intake: Intake, blobs: FolderBlobs
) -> None:
    noise = Image.effect_noise((1024, 1024), 200)
    content = a_file(Image.merge("RGB", (noise, noise.rotate(90), noise.rotate(180))), compress_level=0)
    assert len(content) > 2**20
    blobs.put("large.png", content)
    assert take(intake, "/images/large.png").size == (1024, 1024)


@pytest.mark.parametrize("url", ["/images/gone.png", f"{HERE}images/gone.png", "/images/..%2fsecret.png"])
def test_a_picture_of_ours_that_is_not_there_is_said_to_be_gone(intake: Intake, url: str) -> None:
    with pytest.raises(BadPicture) as refusal:
        take(intake, url)
    assert isinstance(refusal.value, PictureGone) == ("secret" not in url)


@pytest.mark.parametrize(
    "url",
    [
        "http://art.example.evil.test/api/images/done.png",
        "http://art.example@127.0.0.1/api/images/done.png",
        "https://art.example/images/done.png",
        "https://art.example/apidocs/images/done.png",
        "http://pictures.test/images/done.png",
        "http://pictures.test:7866/images/other/done.png",
        "ftp://elsewhere.test/images/done.png",
    ],
)
def test_other_urls_are_not_ours(intake: Intake, url: str) -> None:
    with pytest.raises(NotFetched):
        take(intake, url)


def test_a_dialect_adds_its_own_paths(intake: Intake) -> None:
    def opener(path: str) -> bytes | None:
        if not path.startswith("/blob/"):
            return None
        if path != "/blob/a.signed.token":
            raise UnknownPicture(path)
        return FILE

    intake.own.append(opener)
    assert take(intake, "https://art.example/api/blob/a.signed.token").size == (48, 32)
    assert take(intake, "/images/done.png").size == (48, 32)
    with pytest.raises(PictureGone, match="init_image: there is no such picture here, or no longer"):
        take(intake, "https://art.example/api/blob/a.forged.token")


# --- pictures of others ----------------------------------------------------------------------------------


def test_a_picture_is_fetched(open_intake: Intake) -> None:
    with Listener({"/a": an_answer(FILE), "/": a_redirect("/a")}) as listener:
        assert take(open_intake, f"{listener.url}/").size == (48, 32)


def test_every_reason_gives_the_same_sentence(
    intake: Intake, open_intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    answers = {
        "/html": an_answer(b"<html>", kind="text/html"),
        "/text": an_answer(b"text"),
        "/cut": an_answer(FILE[:300]),
        "/bomb": an_answer(pictures.claiming(60_000, 60_000)),
        "/large": an_answer(bytes(2**20 + 1)),
        "/ring": a_redirect("/ring"),
    }
    told = set()
    with Listener(answers) as listener, caplog.at_level(logging.INFO, logger="diffusionapi"):
        urls = [*(listener.url + path for path in answers), f"{listener.url}/missing", "http://127.0.0.1:9/"]
        urls += ["file:///etc/passwd", "http://[", "http://a b/", f"{listener.url}/{'a' * 9000}"]
        cases = [(open_intake, url) for url in urls] + [(intake, listener.url), (intake, "http://10.0.0.1/")]
        for one, url in cases:
            with pytest.raises(NotFetched) as refusal:
                take(one, url)
            told.add((refusal.value.sentence, refusal.value.code, refusal.value.status))
            assert refusal.value.__cause__ is None
    assert len(told) == 1
    assert len(caplog.messages) == len(cases)
    assert list(folder_of(intake.uploads).iterdir()) == []


def test_the_log_says_why_and_holds_no_secret(intake: Intake, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="diffusionapi"), pytest.raises(NotFetched):
        take(intake, "http://me:hunter2@127.0.0.1/a\x1b[31m.png?token=abc#frag")
    (line,) = caplog.messages
    assert "127.0.0.1/a" in line
    assert not any(secret in line for secret in ("hunter2", "abc", "frag", "\x1b"))


def test_many_pictures_at_once_are_all_taken(intake: Intake) -> None:
    async def story() -> list[str]:
        return await asyncio.gather(*(intake.picture(FILE, "image") for _ in range(20)))

    assert len(set(asyncio.run(story()))) == 20
