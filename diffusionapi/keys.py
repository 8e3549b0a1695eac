"""`python -m diffusionapi.keys`: make, list and revoke API keys, and clients of the backlog API."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

from diffusionapi.auth.clients import Clients
from diffusionapi.auth.keys import Keys
from diffusionapi.errors import Error, UnknownName
from diffusionapi.settings import Settings
from diffusionapi.webhooks.signing import shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from diffusionapi.auth.clients import Client

_ONCE = "shown this once"
_MORE = f"{_ONCE}; for more: .venv/bin/python -m diffusionapi.keys"


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    verb: Callable[[argparse.Namespace, Settings], None] = options.verb
    try:
        verb(options, Settings.load())
    except Error as error:
        sys.exit(error.sentence)


def first(keys: Keys, clients: Clients) -> Iterator[str]:
    """For the banner of a first start: a key and a client, each made where there is none.

    A line as soon as what it tells is made, since nobody can be told again.
    """
    if key := keys.ensure():
        yield f"  API key:  {key}; {_MORE}"
    if made := clients.ensure():
        client, secret = made
        yield f"  Client:   token {client.token} secret {secret}; {_MORE} client"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m diffusionapi.keys", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="list | make | revoke | client")
    verbs.add_parser("list", help="all API keys, by their names").set_defaults(verb=_list)
    verb = verbs.add_parser("make", help="a new API key; it is shown once")
    verb.set_defaults(verb=_make)
    verb.add_argument("name", help="what you call it by")
    verb.add_argument("--per-minute", type=int, metavar="N", help="requests a minute that it is good for")
    verb = verbs.add_parser("revoke", help="an API key opens nothing any more, at once")
    verb.set_defaults(verb=_revoke)
    verb.add_argument("name")
    client = verbs.add_parser("client", help="the same for clients of the backlog API")
    _client_verbs(client.add_subparsers(required=True, metavar="list | make | show | revoke"))
    return parser


def _client_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verbs.add_parser("list", help="all clients").set_defaults(verb=_list_clients)
    verb = verbs.add_parser("make", help="a new client; its secret is shown once")
    verb.set_defaults(verb=_make_client)
    verb.add_argument("name", help="what you call it by")
    verb.add_argument("--domain", default="", help="its server, which is told how its jobs are doing")
    verb.add_argument("--notify", help="the path there for what happens")
    verb.add_argument("--upload", help="the path there for finished pictures")
    verb = verbs.add_parser(
        "show", help="all of a client but its secret, with the key that signs its messages"
    )
    verb.set_defaults(verb=_show_client)
    verb.add_argument("client", help="its name or token")
    verb = verbs.add_parser("revoke", help="nobody is this client any more, at once")
    verb.set_defaults(verb=_revoke_client)
    verb.add_argument("client", help="its name or token")


def _list(_: argparse.Namespace, settings: Settings) -> None:
    with closing(Keys(settings)) as keys:
        known = keys.all()
    _say(f"{'NAME':24} {'MADE':16} {'USED':16} PER MINUTE")
    for key in known:
        made = "API_KEYS" if key.created is None else _day(key.created)
        _say(f"{key.name:24} {made:16} {_day(key.used):16} {key.per_minute or '-'}")


def _make(options: argparse.Namespace, settings: Settings) -> None:
    with closing(Keys(settings)) as keys:
        _say(keys.make(options.name, options.per_minute))


def _revoke(options: argparse.Namespace, settings: Settings) -> None:
    with closing(Keys(settings)) as keys:
        keys.revoke(options.name)
    _say(f"{options.name} opens nothing any more.")


def _list_clients(_: argparse.Namespace, settings: Settings) -> None:
    with closing(Clients(settings)) as clients:
        known = clients.all()
    _say(f"{'NAME':24} {'TOKEN':32} {'MADE':16} DOMAIN")
    for client in known:
        _say(f"{client.name:24} {client.token:32} {_day(client.created):16} {client.domain or '-'}")


def _make_client(options: argparse.Namespace, settings: Settings) -> None:
    with closing(Clients(settings)) as clients:
        client, secret = clients.make(options.name, options.domain)
        clients.change(client.token, uri_notify=options.notify, uri_upload=options.upload)
        _say(f"token    {client.token}")
        _say(f"secret   {secret}   ({_ONCE})")
        _say(f"signing  {shared(clients.signing_key(client.token))}")


def _show_client(options: argparse.Namespace, settings: Settings) -> None:
    with closing(Clients(settings)) as clients:
        client = _named(options.client, clients)
        signing = shared(clients.signing_key(client.token))
    _say(f"name       {client.name}")
    _say(f"token      {client.token}")
    _say(f"domain     {client.domain or '-'}")
    _say(f"notify     {client.uri_notify or '-'}")
    _say(f"upload     {client.uri_upload or '-'}")
    _say(f"made       {_day(client.created)}")
    _say(f"validated  {_day(client.validated)}")
    _say(f"signing    {signing}")


def _revoke_client(options: argparse.Namespace, settings: Settings) -> None:
    with closing(Clients(settings)) as clients:
        client = _named(options.client, clients)
        clients.revoke(client.token)
    _say(f"Nobody is {client.name} any more.")


def _named(given: str, clients: Clients) -> Client:
    known = clients.all()
    for client in known:
        if given in (client.name, client.token):
            return client
    raise UnknownName("client", "client", given, [], [client.name for client in known])


def _day(moment: float | None) -> str:
    return "-" if moment is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def _say(line: str) -> None:
    print(line)  # noqa: T201


if __name__ == "__main__":
    main()
