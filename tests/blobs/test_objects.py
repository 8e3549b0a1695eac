"""Pictures in a bucket: signed requests, links for clients, and what is said when it does not answer."""

from __future__ import annotations

import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from diffusionapi.blobs.bucket import Bucket
from diffusionapi.blobs.open import open_blobs, open_uploads
from diffusionapi.errors import Misconfigured, StorageFull, StorageUnavailable, UnknownPicture
from tests.blobs.conftest import in_bucket
from tests.blobs.s3_server import refusal
from tests.server import WEB, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusionapi.blobs.store import Blobs
    from tests.blobs.s3_server import S3Server


def test_pictures_lie_below_the_prefix_with_their_type(s3: S3Server) -> None:
    settings = in_bucket(s3)
    blobs, uploads = open_blobs(settings), open_uploads(settings)
    blobs.put("a.jpg", b"jpeg")
    name = uploads.put(b"png")
    content, kind, _ = s3.objects["some/where/outputs/a.jpg"]
    assert (content, kind) == (b"jpeg", "image/jpeg")
    assert s3.objects[f"some/where/uploads/{name}"][:2] == (b"png", "image/png")
    assert blobs.place("a.jpg") == "s3://pictures/some/where/outputs/a.jpg"
    assert blobs.folder is None


def test_every_process_on_the_bucket_sees_the_same(s3: S3Server) -> None:
    open_blobs(in_bucket(s3)).put("a.png", b"png")
    elsewhere = open_blobs(in_bucket(s3))
    assert elsewhere.get("a.png") == b"png"
    elsewhere.remove("a.png")
    assert s3.objects == {}


@pytest.mark.parametrize("name", ["../a.png", "b/../a.png", "a.png/", "%2e%2e/a.png", "a.png\n", ""])
def test_no_name_leads_out_of_its_part_of_the_bucket(s3: S3Server, name: str) -> None:
    blobs = open_blobs(in_bucket(s3, blob_links=True))
    s3.objects["some/where/a.png"] = b"of others", "image/png", time.time()
    for ask in (blobs.get, blobs.kept, blobs.exists, blobs.remove):
        with pytest.raises(UnknownPicture):
            ask(name)
    assert s3.requests == 0


def test_clients_get_links_only_where_the_operator_wants_it(s3: S3Server) -> None:
    open_blobs(in_bucket(s3)).put("a.png", b"png")
    assert open_blobs(in_bucket(s3)).kept("a.png").url("GET") is None
    linking = open_blobs(in_bucket(s3, blob_links=True))
    assert linking.kept("none-such.png").url("GET") is None
    link = linking.kept("a.png").url("GET")
    assert link is not None
    assert WEB.get(link).content == b"png"


def test_a_link_leads_to_its_picture_alone_for_a_quarter_of_an_hour(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = open_blobs(in_bucket(s3, blob_links=True))
    for name in ("a.png", "b.png"):
        blobs.put(name, b"png")
    link = blobs.kept("a.png").url("GET")
    assert link is not None
    parts = urlsplit(link)
    assert "s3cret" not in link

    def said(method: str, path: str, later: float = 0) -> str | None:
        now = time.time()
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: now + later)
            return refusal(method, path, parts.query, {"Host": parts.netloc})

    assert said("GET", parts.path) is None
    assert said("GET", parts.path.replace("a.png", "b.png")) == "SignatureDoesNotMatch"
    assert said("DELETE", parts.path) == "SignatureDoesNotMatch"
    assert said("GET", parts.path, later=14 * 60) is None
    assert said("GET", parts.path, later=16 * 60) == "AccessDenied"


def test_a_link_for_a_look_at_the_head_is_another(s3: S3Server) -> None:
    blobs = open_blobs(in_bucket(s3, blob_links=True))
    blobs.put("a.png", b"png")
    kept = blobs.kept("a.png")
    get, head = kept.url("GET"), kept.url("HEAD")
    assert get is not None
    assert head is not None
    assert WEB.head(head).headers["content-length"] == "3"
    assert WEB.head(get).status_code == 403


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ((503, "SlowDown"), StorageUnavailable, "SlowDown|503"),
        ((403, "InvalidAccessKeyId"), StorageUnavailable, "InvalidAccessKeyId|403"),
        ((507, "XMinioStorageFull"), StorageFull, "No space"),
    ],
)
def test_a_bucket_that_refuses_says_why_in_one_word(
    s3: S3Server, answer: tuple[int, str], kind: type[StorageUnavailable], said: str
) -> None:
    blobs, uploads = open_blobs(in_bucket(s3)), open_uploads(in_bucket(s3))
    s3.failing = answer
    for ask in (
        blobs.check,
        lambda: blobs.put("a.png", b"png"),
        lambda: blobs.get("a.png"),
        lambda: blobs.exists("a.png"),
        lambda: blobs.remove("a.png"),
        lambda: uploads.aged(0),
    ):
        with pytest.raises(kind, match=said) as raised:
            ask()
        assert type(raised.value) is kind
        assert s3.url not in raised.value.sentence


def test_a_bucket_that_is_not_there_is_no_missing_picture(s3: S3Server) -> None:
    blobs = open_blobs(in_bucket(s3, blobs="s3://another"))
    for ask in (blobs.check, lambda: blobs.put("a.png", b"png")):
        with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
            ask()


def test_an_outage_of_a_moment_is_not_noticed(s3: S3Server) -> None:
    blobs = open_blobs(in_bucket(s3))
    s3.failing, s3.fails = (503, "SlowDown"), 1
    blobs.put("a.png", b"png")
    assert blobs.get("a.png") == b"png"


def test_nobody_waits_long_for_a_bucket_that_cannot_be_reached(s3: S3Server) -> None:
    blobs = open_blobs(in_bucket(s3, aws_endpoint_url=f"http://127.0.0.1:{free_port()}"))
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="no answer"):
        blobs.get("a.png")
    assert time.monotonic() - began < 4


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the time a bucket may be silent, and half of that for a check."""
    for name, seconds in (("_SILENCE", 0.3), ("_CHECK", 0.15), ("_REST", 0.1), ("_RETRYING", 0.1)):
        monkeypatch.setattr(f"diffusionapi.blobs.bucket.{name}", seconds)


def refused_after(ask: Callable[[], object]) -> float:
    """Seconds until it is said that the bucket does not answer."""
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="no answer"):
        ask()
    return time.monotonic() - began


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["read", "small write", "large write", "check", "list"])
def test_a_bucket_that_is_silent_is_waited_for_a_moment(s3: S3Server, kind: str) -> None:
    blobs, uploads = open_blobs(in_bucket(s3)), open_uploads(in_bucket(s3))
    ask: Callable[[], object] = {
        "read": lambda: blobs.get("a.png"),
        "small write": lambda: blobs.put("a.png", b"png"),
        "large write": lambda: blobs.put("a.png", bytes(2**21)),
        "check": blobs.check,
        "list": lambda: uploads.aged(0),
    }[kind]
    s3.answering.clear()
    assert 0.1 < refused_after(ask) < 0.6


@pytest.mark.usefixtures("quick")
def test_while_it_is_silent_one_asks_it_and_the_others_do_not_wait(
    s3: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    blobs = open_blobs(in_bucket(s3))
    blobs.put("a.png", b"png")
    s3.answering.clear()
    refused_after(lambda: blobs.get("a.png"))
    assert max(refused_after(lambda: blobs.get("a.png")) for _ in range(20)) < 0.05
    with ThreadPoolExecutor(8) as requests:
        time.sleep(0.11)  # its rest
        waited = list(requests.map(lambda _: refused_after(blobs.check), range(8)))
    assert sum(seconds > 0.1 for seconds in waited) <= 1
    s3.answering.set()
    wait_until(lambda: there(blobs), 5)
    assert [one.message.split(" after")[0] for one in caplog.records if one.levelname == "WARNING"] == [
        "the bucket of pictures does not answer; asking it until it does",
        "the bucket answers again",
    ]


def there(blobs: Blobs) -> bool:
    try:
        return blobs.get("a.png") == b"png"
    except StorageUnavailable:
        return False


@pytest.mark.usefixtures("quick")
def test_a_large_picture_goes_over_a_slow_line(s3: S3Server) -> None:
    blobs, picture = open_blobs(in_bucket(s3)), bytes(2**18)
    s3.pace = 0.05  # 0.8 s, which is more than a silence may last
    blobs.put("a.png", picture)
    assert blobs.get("a.png") == picture


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("answer", [(503, "SlowDown"), (403, "InvalidAccessKeyId"), (507, "QuotaExceeded")])
def test_a_bucket_that_refuses_is_not_taken_for_silent(s3: S3Server, answer: tuple[int, str]) -> None:
    blobs = open_blobs(in_bucket(s3))
    blobs.put("a.png", b"png")
    s3.failing = answer
    with pytest.raises(StorageUnavailable):
        blobs.put("b.png", bytes(2**17))
    s3.failing = None
    assert blobs.get("a.png") == b"png"


def test_without_the_package_it_is_said_how_to_have_it(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(Misconfigured, match=r"\.\[s3\]"):
        Bucket(in_bucket(s3))


def test_no_secret_comes_into_the_log(s3: S3Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "diffusionapi")
    blobs = open_blobs(in_bucket(s3))
    s3.failing = (403, "SignatureDoesNotMatch")
    with pytest.raises(StorageUnavailable) as raised:
        blobs.put("a.png", b"png")
    assert "SignatureDoesNotMatch" in caplog.text
    assert "s3cret" not in caplog.text + raised.value.sentence
