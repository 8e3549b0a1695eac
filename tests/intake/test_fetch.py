"""Where URLs of strangers may lead, and how much they may take of us. Nothing here leaves the machine."""

from __future__ import annotations

import asyncio
import gzip
import logging
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from diffusionapi.intake.fetch import Fetcher
from diffusionapi.net import guarded
from diffusionapi.net.guarded import Guarded, Refused
from tests.intake.listener import Listener, a_redirect, an_answer
from tests.intake.pictures import a_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.net.guarded import Resolver

PICTURE = a_file()
PUBLIC = "93.184.216.34"


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """Its port is as good as 80, so that only the address keeps anybody away."""
    with Listener({"/a.png": an_answer(PICTURE)}) as listener:
        monkeypatch.setattr(guarded, "PORTS", {80, listener.port})
        yield listener


def a_resolver(**names: str) -> Resolver:
    async def resolve(host: str, _: int) -> list[str]:
        return [names[host.split(".")[0]]]

    return resolve


def a_fetcher(
    *, private: bool = False, timeout: float = 5, most: int = 2**20, resolve: Resolver | None = None
) -> Fetcher:
    return Fetcher(most_bytes=most, timeout=timeout, allow_private=private, resolve=resolve)


def get(url: str, fetcher: Fetcher) -> bytes:
    return asyncio.run(fetcher.fetch(url))


DISGUISES = [
    "http://127.0.0.1:{port}/a.png",
    "http://127.1:{port}/a.png",
    "http://127.0.1:{port}/a.png",
    "http://0:{port}/a.png",
    "http://0.0.0.0:{port}/a.png",
    "http://127.255.255.254:{port}/a.png",
    "http://2130706433:{port}/a.png",
    "http://0x7f000001:{port}/a.png",
    "http://0X7F.0.0.1:{port}/a.png",
    "http://0x7f.1:{port}/a.png",
    "http://017700000001:{port}/a.png",
    "http://0177.0.0.1:{port}/a.png",
    "http://0177.0x0.0.1:{port}/a.png",
    "http://127.0.0.1.:{port}/a.png",
    "http://localhost:{port}/a.png",
    "http://LOCALHOST:{port}/a.png",
    "http://LocalHost.:{port}/a.png",
    "http://[::1]:{port}/a.png",
    "http://[0:0:0:0:0:0:0:1]:{port}/a.png",
    "http://[::]:{port}/a.png",
    "http://[::127.0.0.1]:{port}/a.png",
    "http://[::ffff:127.0.0.1]:{port}/a.png",
    "http://[::ffff:7f00:1]:{port}/a.png",
    "http://[0:0:0:0:0:FFFF:127.0.0.1]:{port}/a.png",
    "http://[64:ff9b::7f00:1]:{port}/a.png",
    "http://[64:ff9b::127.0.0.1]:{port}/a.png",
    "http://[2002:7f00:1::]:{port}/a.png",
    "http://[::1%25lo]:{port}/a.png",
    "http://[fe80::1%25lo]:{port}/a.png",
    "http://example.org@127.0.0.1:{port}/a.png",
    "http://example.org:80@127.0.0.1:{port}/a.png",
    "http://127.0.0.1:{port}@example.org/a.png",
    "http://example.org%40127.0.0.1:{port}/a.png",
    "http://127.0.0.1:{port}\\@example.org/a.png",
    "http://example.org\\@127.0.0.1:{port}/a.png",
    "http://example.org#@127.0.0.1:{port}/a.png",
    "http://127.0.0.1%00.example.org:{port}/a.png",
    "http://127.0.0.1%2f@example.org:{port}/a.png",
    "http:\\\\127.0.0.1:{port}\\a.png",
    "http:127.0.0.1:{port}/a.png",
    "http:/127.0.0.1:{port}/a.png",
    "http:///127.0.0.1:{port}/a.png",
    "HTTP://127.0.0.1:{port}/a.png",
    "https://127.0.0.1:{port}/a.png",
    "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11:{port}/a.png",
    "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:{port}/a.png",
    "http://127\u3002\u0030\u3002\u0030\u30021:{port}/a.png",
    "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3:{port}/a.png",
    "http://private.test:{port}/a.png",
    "http://mapped.test:{port}/a.png",
    "http://translated.test:{port}/a.png",
    "http://mixed.test:{port}/a.png",
    "ftp://127.0.0.1:{port}/a.png",
    "gopher://127.0.0.1:{port}/_GET%20/a.png",
    "file:///etc/hostname",
    "dict://127.0.0.1:{port}/a",
    "http://127.0.0.1:{port}/a.png\r\nHost: example.org",
    "unix:///var/run/docker.sock",
]


async def _names(host: str, port: int) -> list[str]:
    """The system's answers for numbers, and bad ones for names."""
    known = {
        "private.test": ["127.0.0.1"],
        "mapped.test": ["::ffff:127.0.0.1"],
        "translated.test": ["64:ff9b::7f00:1"],
        "mixed.test": ["127.0.0.1", PUBLIC],
        "example.org": ["127.0.0.1"],
    }
    from diffusionapi.net.lookup import Lookup

    return known.get(host.lower()) or await Lookup().addresses(host, port)


@pytest.mark.parametrize("url", DISGUISES)
def test_no_private_address_is_reached_in_any_disguise(listener: Listener, url: str) -> None:
    with pytest.raises(Refused):
        get(url.format(port=listener.port), a_fetcher(resolve=_names))
    assert listener.connections == 0


@pytest.mark.parametrize("url", DISGUISES[:5])
def test_an_operator_may_allow_private_addresses(listener: Listener, url: str) -> None:
    assert get(url.format(port=listener.port), a_fetcher(private=True)) == PICTURE
    assert listener.connections == 1


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
@pytest.mark.parametrize("to", [*DISGUISES[:3], "//127.0.0.1:{port}/a.png", "file:///etc/hostname"])
def test_no_redirect_leads_to_a_private_address(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, status: str, to: str
) -> None:
    with Listener({"/": a_redirect(to.format(port=listener.port), status)}) as public:
        _as_if_public(monkeypatch, {"127.0.0.1"})
        monkeypatch.setattr(guarded, "PORTS", {public.port, listener.port})
        fetcher = a_fetcher(resolve=_first_public_then_real(public.port))
        with pytest.raises(Refused):
            get(f"http://public.test:{public.port}/", fetcher)
        assert public.connections == 1
    assert listener.connections == 0


def _as_if_public(monkeypatch: pytest.MonkeyPatch, addresses: set[str]) -> None:
    """Let loopback addresses play the public internet; nothing real is asked."""
    monkeypatch.setattr(guarded, "is_public", lambda address: address in addresses)
    monkeypatch.setattr(guarded, "httpx_ssrf_protection", lambda client, **_: client)


def _first_public_then_real(port: int) -> Resolver:
    """One name is at the address that plays the public internet; all else is at one that does not."""

    async def resolve(host: str, asked: int) -> list[str]:
        return ["127.0.0.1"] if (host, asked) == ("public.test", port) else ["127.0.0.2"]

    return resolve


def test_a_name_that_changes_its_address_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [[PUBLIC], ["127.0.0.1"]]
    lookups = []

    async def rebinding(host: str, _: int) -> list[str]:
        lookups.append(host)
        return answers[min(len(lookups), len(answers)) - 1]

    asked: list[str] = []

    async def go_nowhere(
        _: Guarded, address: str, __: str, url: httpx.URL, *___: object
    ) -> tuple[httpx.AsyncClient, httpx.Response]:
        asked.append(address)
        return httpx.AsyncClient(), httpx.Response(302, headers={"Location": str(url)})

    monkeypatch.setattr(Guarded, "ask_at", go_nowhere)
    with pytest.raises(Refused, match=r"an address that is not public: 127.0.0.1"):
        get("http://rebinding.test/a.png", a_fetcher(resolve=rebinding))
    # One lookup for each step, and what was checked is what is asked: by its number.
    assert asked == [PUBLIC]
    assert len(lookups) == 2


def test_the_connection_goes_to_the_checked_number_under_the_name_of_the_host(listener: Listener) -> None:
    fetcher = a_fetcher(private=True, resolve=a_resolver(pictures="127.0.0.1"))
    assert get(f"http://pictures.test:{listener.port}/a.png?size=1#part", fetcher) == PICTURE
    (request,) = listener.requests
    assert request.startswith("GET /a.png?size=1 HTTP/1.1\r\n")
    assert f"\r\nHost: pictures.test:{listener.port}\r\n" in request


def test_a_second_guard_stands_where_the_connection_is_made(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "is_public", lambda _: True)
    with pytest.raises(Refused, match="SSRFProtectionError"):
        get(f"{listener.url}/a.png", a_fetcher())
    assert listener.connections == 0


@pytest.mark.parametrize("port", [22, 25, 3306, 6379, 9200, 65535])
def test_other_ports_than_the_webs_are_not_asked(port: int) -> None:
    with pytest.raises(Refused, match="must lead to port 80"):
        get(f"http://{PUBLIC}:{port}/", a_fetcher())


def test_a_request_says_little_and_keeps_nothing(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    listener.answers["/a.png"] = an_answer(PICTURE, "Set-Cookie: who=you")
    fetcher = a_fetcher(private=True)

    async def twice() -> None:
        for _ in range(2):
            await fetcher.fetch(f"{listener.url}/a.png")

    asyncio.run(twice())
    for request in listener.requests:
        names = {line.partition(":")[0].lower() for line in request.split("\r\n")[1:] if line}
        assert names <= {"host", "accept", "accept-encoding", "connection", "user-agent"}
        assert "\r\nUser-Agent: diffusionapi/" in request


def test_three_redirects_are_followed_and_no_more(listener: Listener) -> None:
    listener.answers |= {f"/{n}": a_redirect(f"/{n - 1}" if n > 1 else "/a.png") for n in range(1, 5)}
    assert get(f"{listener.url}/3", a_fetcher(private=True)) == PICTURE
    with pytest.raises(Refused, match="more than 3 times"):
        get(f"{listener.url}/4", a_fetcher(private=True))


@pytest.mark.parametrize(
    "answer",
    [
        an_answer(bytes(5000)),
        an_answer(bytes(5000)).replace(b"Content-Length: 5000\r\n", b""),
        an_answer(gzip.compress(bytes(10**6)), "Content-Encoding: gzip"),
        an_answer(b"<html></html>", kind="text/html; charset=utf-8"),
        an_answer(b"{}", kind="application/json"),
        an_answer(PICTURE, status="404 Not Found"),
        an_answer(PICTURE, status="206 Partial Content"),
        an_answer(PICTURE, status="204 No Content"),
        an_answer(b"", status="302 Found"),
        a_redirect("http://[broken"),
        an_answer(PICTURE)[:-10],
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000,
    ],
)
def test_an_answer_that_is_no_picture_or_too_large_is_refused(listener: Listener, answer: bytes) -> None:
    listener.answers["/b.png"] = answer
    with pytest.raises(Refused):
        get(f"{listener.url}/b.png", a_fetcher(private=True, most=2000))


@pytest.mark.parametrize(
    "kind", ["image/jpeg", "application/octet-stream", "binary/octet-stream", "IMAGE/PNG"]
)
def test_the_types_that_stores_give_to_pictures_are_taken(listener: Listener, kind: str) -> None:
    listener.answers["/b.png"] = an_answer(PICTURE, kind=kind)
    assert get(f"{listener.url}/b.png", a_fetcher(private=True)) == PICTURE


def test_the_time_limit_is_for_the_whole_of_it() -> None:
    with Listener({"/a.png": an_answer(PICTURE)}, dribble=0.05) as slow:
        began = time.monotonic()
        with pytest.raises(Refused, match=r"longer than 0.5 s"):
            get(f"{slow.url}/a.png", a_fetcher(private=True, timeout=0.5))
        assert time.monotonic() - began < 3


def test_a_name_that_takes_for_ever_takes_no_longer_than_the_limit() -> None:
    async def never(_: str, __: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(Refused, match="longer than"):
        get("http://slow.test/", a_fetcher(timeout=0.2, resolve=never))


def test_a_stop_gives_up_what_runs_and_what_comes() -> None:
    async def never(_: str, __: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    async def story() -> list[object]:
        fetcher = a_fetcher(timeout=60, resolve=never)
        running = [asyncio.create_task(fetcher.fetch("http://slow.test/")) for _ in range(20)]
        await asyncio.sleep(0)
        fetcher.stop()
        return await asyncio.gather(*running, return_exceptions=True)

    began = time.monotonic()
    assert all(isinstance(one, Refused) for one in asyncio.run(story()))
    assert time.monotonic() - began < 5


def test_the_next_address_is_tried_when_the_first_is_deaf(listener: Listener) -> None:
    async def two(_: str, __: int) -> list[str]:
        return ["127.0.0.9", "127.0.0.1"]  # the listener is at the second only

    assert get(f"http://two.test:{listener.port}/a.png", a_fetcher(private=True, resolve=two)) == PICTURE


def test_the_libraries_log_no_url(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        get(f"{listener.url}/a.png?token=secret", a_fetcher(private=True))
    assert caplog.text == ""
