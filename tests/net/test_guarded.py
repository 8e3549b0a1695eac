"""A request to a URL of a stranger, as webhooks make it; `tests/intake/test_fetch.py` tries all disguises."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from diffusionapi.net import guarded
from diffusionapi.net.guarded import Guarded, Refused
from tests.webhooks.receiver import Receiver

if TYPE_CHECKING:
    from diffusionapi.net.guarded import Resolver


def post(url: str, *, private: bool = True, resolve: Resolver | None = None) -> int:
    async def story() -> int:
        one = Guarded(timeout=5, allow_private=private, resolve=resolve)
        async with one.asked("POST", httpx.URL(url), {"X-One": "1"}, b"body") as answer:
            return answer.status_code

    return asyncio.run(story())


async def _two(_: str, __: int) -> list[str]:
    return ["127.0.0.9", "127.0.0.1"]  # the receiver is at the second only


def test_what_is_sent_arrives_once_and_whole_under_the_name_of_the_host() -> None:
    with Receiver() as receiver:
        assert post(f"http://shop.test:{receiver.port}/told?a=1#part", resolve=_two) == 200
    (one,) = receiver.received
    assert (one.path, one.body) == ("/told?a=1", b"body")
    assert one.headers["host"] == f"shop.test:{receiver.port}"
    assert one.headers["x-one"] == "1"
    assert one.headers["user-agent"].startswith("diffusionapi/")


def test_where_an_answer_leads_nobody_follows() -> None:
    with Receiver() as other, Receiver({"/": f"{other.url}/"}) as receiver:
        assert post(f"{receiver.url}/") == 302
        assert other.received == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://shop.test:{port}/",
        "ftp://a.test/",
        "http://a:b@a.test/",
        "http:///",
    ],
)
def test_nothing_is_sent_to_where_only_we_can_go(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as receiver:
        monkeypatch.setattr(guarded, "PORTS", {80, receiver.port})
        with pytest.raises(Refused):
            post(url.format(port=receiver.port), private=False, resolve=_two)
        assert receiver.received == []


def test_a_host_without_an_address_is_a_matter_of_the_network() -> None:
    async def nobody(_: str, __: int) -> list[str]:
        return []

    with pytest.raises(OSError, match="no address"):
        post("http://nowhere.test/", resolve=nobody)
