"""Clients with servers of their own: who they are, where they are called, what messages are signed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from diffusionapi.auth.clients import Clients
from diffusionapi.errors import BadRequest, UnknownClient, UnknownName, WrongSecret
from tests.one_or_many import of_one_machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.settings import Settings


@pytest.fixture
def clients(settings: Settings) -> Iterator[Clients]:
    clients = Clients(settings)
    yield clients
    clients.close()


def test_a_client_is_who_knows_its_secret(clients: Clients) -> None:
    made, secret = clients.make("shop", "https://shop.test")
    assert clients.check(made.token, secret) == made
    assert (made.name, made.domain, made.validated) == ("shop", "https://shop.test", None)
    with pytest.raises(WrongSecret, match="Invalid secret"):
        clients.check(made.token, "wrong")
    with pytest.raises(UnknownClient, match="Could not find client"):
        clients.check("unknown", secret)


@pytest.mark.parametrize("token", ["", "\0", "\ud800", "x" * 10_000])
def test_odd_tokens_are_nobodys(clients: Clients, token: str) -> None:
    clients.make("shop")
    assert clients.find(token) is None
    with pytest.raises(UnknownClient):
        clients.check(token, token)


@of_one_machine
def test_no_secret_is_kept_as_it_is(clients: Clients, tmp_path: Path) -> None:
    _, secret = clients.make("shop")
    for file in tmp_path.glob("keys.sqlite*"):
        assert secret.encode() not in file.read_bytes()


def test_what_is_not_named_stays_as_it_was(clients: Clients) -> None:
    made, _ = clients.make("shop", "shop.test")
    changed = clients.change(made.token, uri_notify="/told")
    assert (changed.domain, changed.uri_notify, changed.uri_upload) == ("shop.test", "/told", "")
    assert changed.updated >= made.updated
    changed = clients.change(made.token, uri_notify="", uri_upload="/pictures")
    assert (changed.domain, changed.uri_notify, changed.uri_upload) == ("shop.test", "", "/pictures")
    assert clients.find(made.token) == changed
    with pytest.raises(UnknownClient):
        clients.change("unknown", domain="x")


def test_the_first_acknowledgement_is_remembered(clients: Clients) -> None:
    made, _ = clients.make("shop")
    clients.validated(made.token)
    first = clients.find(made.token)
    assert first is not None
    assert first.validated is not None
    clients.validated(made.token)
    assert clients.find(made.token) == first
    clients.validated("unknown")


def test_a_revoked_client_is_gone_everywhere(clients: Clients, settings: Settings) -> None:
    made, secret = clients.make("shop")
    others = Clients(settings)
    others.revoke(made.token)
    with pytest.raises(UnknownClient):
        clients.check(made.token, secret)
    with pytest.raises(UnknownName):
        others.revoke(made.token)
    assert clients.all() == []
    others.close()


def test_a_name_is_used_once(clients: Clients) -> None:
    clients.make("shop")
    with pytest.raises(BadRequest, match="name: there is a client 'shop'"):
        clients.make("shop")


def test_a_first_client_is_made_when_there_is_none(clients: Clients) -> None:
    first = clients.ensure()
    assert first is not None
    client, secret = first
    assert clients.check(client.token, secret).name == "first"
    assert clients.ensure() is None


def test_each_client_has_a_signing_key_that_follows_from_the_servers(settings: Settings) -> None:
    def of(secret: str) -> Clients:
        return Clients(type(settings)(**settings.model_dump() | {"secret_key": secret}))

    one = of("a" * 32).signing_key("t1")
    assert len(one) == 32
    assert one == of("a" * 32).signing_key("t1")
    assert len({one, of("a" * 32).signing_key("t2"), of("b" * 32).signing_key("t1")}) == 3
