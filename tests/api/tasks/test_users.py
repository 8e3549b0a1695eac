"""Signing up and logging in, in every spelling of it."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.tasks.client import Client, Json
from tests.server import Server

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "correct horse & battery=staple ü"  # noqa: S105 - of users of this test


@pytest.fixture
def name() -> str:
    return f"user-{uuid.uuid4()}"


@pytest.fixture
def anybody(guarded_server: Server) -> Client:
    return Client(guarded_server)


def ways(fields: Json) -> dict[str, Json]:
    return {"json": {"json": fields}, "form": {"data": fields}, "query": {"params": fields}}


@pytest.mark.parametrize("way", ["json", "form", "query"])
@pytest.mark.parametrize("path", ["/user", "/user/{name}"])
def test_a_user_signs_up_in_every_way(anybody: Client, name: str, path: str, way: str) -> None:
    fields = {"password": PASSWORD} | ({} if "{" in path else {"username": name})
    first, again = (anybody.ask("POST", path.format(name=name), **ways(fields)[way]) for _ in range(2))
    assert (first.status_code, first.json()) == (200, {"username": name})
    assert (again.status_code, again.json()) == (409, {"detail": f"User {name} already exists"})


@pytest.mark.parametrize("way", ["json", "form", "query"])
def test_a_user_logs_in_by_the_name_in_the_path_in_every_way(anybody: Client, name: str, way: str) -> None:
    anybody.ask("POST", f"/user/{name}", json={"password": PASSWORD})
    answer = anybody.ask("POST", f"/token/{name}", **ways({"password": PASSWORD})[way])
    assert answer.status_code == 200
    assert list(answer.json()) == ["access_token", "token_type"]
    assert answer.json()["token_type"] == "bearer"  # noqa: S105 - the kind
    assert Client(anybody.server, answer.json()["access_token"]).submit(steps=2)


@pytest.mark.parametrize(
    "more", [{}, {"grant_type": "password"}, {"scope": "", "client_id": "x", "client_secret": "y"}]
)
def test_a_user_logs_in_as_oauth_has_it(anybody: Client, name: str, more: Json) -> None:
    anybody.ask("POST", "/user", json={"username": name, "password": PASSWORD})
    answer = anybody.ask("POST", "/token", data={"username": name, "password": PASSWORD} | more)
    assert answer.status_code == 200
    answer = anybody.ask("POST", "/token", files={"username": (None, name), "password": (None, PASSWORD)})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "options", "wrong"),
    [
        ("/token", {}, [["body", "username"], ["body", "password"]]),
        ("/token", {"data": {"username": "a"}}, [["body", "password"]]),
        (
            "/token",
            {"data": {"username": "a", "password": "b", "grant_type": "x"}},
            [["body", "grant_type"]],
        ),
        ("/token/a", {}, [["query", "password"]]),
        ("/user", {}, [["body", "username"], ["body", "password"]]),
        ("/user", {"json": {"username": "a", "password": 3}}, [["query", "password"]]),
        ("/user/a", {}, [["query", "password"]]),
        ("/user/a", {"json": {"password": ""}}, [["body", "password"]]),
        ("/user/a%20", {"json": {"password": "x"}}, [["body", "username"]]),
        ("/user", {"content": b'{"username": "\\ud800", "password": "x"}'}, [["body", "username"]]),
        ("/user", {"content": b'{"username"'}, [["body"]]),
    ],
)
def test_what_is_missing_or_wrong_is_said_and_never_what_was_sent(
    anybody: Client, path: str, options: Any, wrong: list[list[str]]
) -> None:
    answer = anybody.ask("POST", path, **options)
    assert answer.status_code == 422, answer.text
    assert [one["loc"] for one in answer.json()["detail"]] == wrong
    assert all(list(one) == ["loc", "msg", "type"] for one in answer.json()["detail"])


def test_wrong_user_and_wrong_password_are_told_alike(anybody: Client, name: str) -> None:
    anybody.ask("POST", "/user", json={"username": name, "password": PASSWORD})
    for user, password in ((name, "wrong"), (name, ""), ("nobody", PASSWORD), ("all", ""), ("a" * 500, "x")):
        for path, fields in (
            ("/token", {"username": user, "password": password}),
            (f"/token/{user}", {"password": password}),
        ):
            if user == "all" and path == "/token/all":
                continue
            answer = anybody.ask("POST", path, data=fields)
            if not password and path == "/token":
                continue  # an empty field of a form is a missing one to the framework
            assert answer.status_code == 401, (user, path, answer.text)
            assert answer.json() == {"detail": "Could not validate credentials"}
            assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_one_of_many_who_sign_up_at_once_gets_the_name(anybody: Client, name: str) -> None:
    def sign_up(number: int) -> int:
        fields = {"username": name, "password": f"password {number}"}
        return anybody.ask("POST", "/user", json=fields).status_code

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(sign_up, range(8))) == [200] + [409] * 7


def test_the_name_of_everybody_is_taken(anybody: Client) -> None:
    answer = anybody.ask("POST", "/user/all", json={"password": "x"})
    assert (answer.status_code, answer.json()) == (409, {"detail": "User all already exists"})


def test_nobody_signs_up_where_it_is_disabled(open_server: Server) -> None:
    for path in ("/user", "/user/bob"):
        answer = Client(open_server).ask("POST", path, json={"username": "bob", "password": "x"})
        assert (answer.status_code, answer.json()) == (403, {"detail": "Signup is disabled"})


def test_who_guesses_passwords_is_told_to_wait(tmp_path: Path) -> None:
    with Server(tmp_path, login_attempts=3) as server:
        answers = [
            Client(server).ask("POST", "/token", data={"username": "bob", "password": str(number)})
            for number in range(4)
        ]
    assert [one.status_code for one in answers] == [401, 401, 401, 429]
    wait = int(answers[-1].headers["Retry-After"])
    assert 1 <= wait <= 61
    assert answers[-1].json() == {"detail": f"Too many attempts; try again in {wait} seconds"}
