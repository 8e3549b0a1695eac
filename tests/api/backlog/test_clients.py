"""Who a client is, and where it is called: log in, the client's record, notify settings."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import jwt
import pytest

from tests.api.backlog.client import NO_TOKEN, PRIVATE, PUBLIC, Client, a_client, assert_refused, clients_in
from tests.server import Server

if TYPE_CHECKING:
    from pathlib import Path

LOGIN = f"{PUBLIC}/client/login"
DEMO = f"{PUBLIC}/client/demo"
NOTIFY = f"{PRIVATE}/notify"
HOURS_72 = 72 * 3600


@pytest.fixture(scope="module")
def own(backlog_server: Server) -> Client:
    """Whose settings no other test needs."""
    return a_client(backlog_server, f"own-{uuid.uuid4()}", "first.example.com")


# --- log in ----------------------------------------------------------------------------------------------


def test_a_client_logs_in_by_token_and_secret(bob: Client) -> None:
    answer = bob.ask("POST", LOGIN, json={"token": bob.token, "secret": bob.secret})
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert list(data) == ["token", "authToken", "duration"]
    assert (data["token"], data["duration"]) == (bob.token, "72h")


def test_an_auth_token_names_the_client_and_is_good_for_three_days(ann: Client) -> None:
    claims = jwt.decode(ann.bearer, options={"verify_signature": False})
    assert jwt.get_unverified_header(ann.bearer)["alg"] == "HS256"
    assert (claims["username"], claims["token"]) == ("ann.example.com", ann.token)
    assert claims["exp"] - claims["iat"] == HOURS_72
    assert abs(claims["iat"] - time.time()) < 3600


def test_an_unknown_client_is_not_found(bob: Client) -> None:
    answer = bob.ask("POST", LOGIN, json={"token": "nobody", "secret": bob.secret})
    assert_refused(answer, 404, "Could not find client")


def test_a_wrong_secret_is_said_to_be_one(bob: Client) -> None:
    answer = bob.ask("POST", LOGIN, json={"token": bob.token, "secret": "wrong"})
    assert_refused(answer, 401, "Invalid secret")


@pytest.mark.parametrize(
    "body",
    [{}, {"token": "a"}, {"secret": "a"}, {"token": "", "secret": "a"}, {"token": "a", "secret": None}],
)
def test_a_login_without_token_or_secret_is_refused(bob: Client, body: dict[str, object]) -> None:
    assert_refused(bob.ask("POST", LOGIN, json=body), 400, "Token required")


def test_a_login_with_half_a_character_is_one_of_nobody(bob: Client) -> None:
    answer = bob.ask("POST", LOGIN, content=b'{"token": "\\ud800", "secret": "\\udfff"}')
    assert_refused(answer, 404)


def test_a_login_that_is_not_json_is_refused(bob: Client) -> None:
    assert_refused(bob.ask("POST", LOGIN, content=b"token=a"), 400)


def test_anybody_is_let_in_only_where_the_operator_says_so(bob: Client, tmp_path: Path) -> None:
    assert_refused(bob.ask("POST", DEMO), 403, "Demo login is disabled")
    with Server(tmp_path, backlog_demo=1) as server:
        anybody = Client(server, "", "")
        # Clients of old send their credentials that they have none of.
        data = anybody.ask("POST", DEMO, json={"token": None, "secret": None}).json()["data"]
        again = anybody.ask("POST", DEMO)
        assert again.status_code == 201
        assert again.json()["data"]["token"] == data["token"]
        demo = replace(anybody, bearer=data["authToken"])
        assert demo.end(demo.add())["response"]


# --- who is not let in -----------------------------------------------------------------------------------

BEARERS = ["", "none", "a.b.c", "x" * 5000, "é"]
ROUTES = [
    ("GET", PRIVATE),
    ("PATCH", NOTIFY),
    ("POST", f"{PRIVATE}/ai/diffusion"),
    ("GET", f"{PRIVATE}/request/1"),
    ("DELETE", f"{PRIVATE}/request/1"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("bearer", BEARERS)
def test_who_has_no_token_is_told_that_one_is_required(
    bob: Client, method: str, path: str, bearer: str
) -> None:
    headers = {"Authorization": b"Bearer " + bearer.encode()} if bearer else {}
    body = {"word": "coin"} if method in ("POST", "PATCH") else None
    answer = replace(bob, bearer="").ask(method, path, json=body, headers=headers)
    assert_refused(answer, 400, NO_TOKEN)


def test_a_forged_expired_or_foreign_token_is_none(backlog_server: Server, bob: Client) -> None:
    from diffusionapi.auth.secret import secret_of
    from diffusionapi.auth.tokens import Tokens
    from diffusionapi.settings import Settings

    secret = secret_of(Settings(data_dir=backlog_server.data_dir))
    claims = {"username": "bob", "token": bob.token, "iat": 0, "exp": int(time.time()) + 60}
    right = Tokens(secret, "backlog clients")
    assert replace(bob, bearer=right.signed(claims)).ask("GET", PRIVATE).status_code == 200
    for wrong in (
        Tokens(b"another key", "backlog clients").signed(claims),
        Tokens(secret, "tasks users").signed(claims),
        right.signed(claims | {"exp": int(time.time()) - 1}),
        right.signed({"token": bob.token}),
        right.signed(claims | {"token": "nobody"}),
    ):
        assert_refused(replace(bob, bearer=wrong).ask("GET", PRIVATE), 400, NO_TOKEN)


def test_a_revoked_client_is_none_at_once(backlog_server: Server) -> None:
    client = a_client(backlog_server, f"revoked-{uuid.uuid4()}")
    assert client.ask("GET", PRIVATE).status_code == 200
    clients = clients_in(backlog_server.data_dir)
    clients.revoke(client.token)
    clients.close()
    assert_refused(client.ask("GET", PRIVATE), 400, NO_TOKEN)


def test_the_client_token_itself_will_do(bob: Client) -> None:
    with_token = replace(bob, bearer=bob.token)
    assert with_token.ask("GET", PRIVATE).json()["data"]["token"] == bob.token


def test_what_authenticates_is_in_no_line_of_the_log(backlog_server: Server, bob: Client) -> None:
    bob.end(bob.add())
    log = backlog_server.log()
    assert [one for one in (bob.secret, bob.bearer, bob.token) if one in log] == []


# --- the client's record ---------------------------------------------------------------------------------


def test_a_client_sees_its_record(ann: Client, bob: Client) -> None:
    data = ann.ask("GET", PRIVATE).json()["data"]
    assert data["token"] == ann.token
    assert data["user"] == {"username": "ann.example.com"}
    assert bob.ask("GET", PRIVATE).json()["data"]["user"]["username"].startswith("bob-")


# --- notify settings -------------------------------------------------------------------------------------


def test_notify_settings_are_kept_and_answered(own: Client) -> None:
    before = own.notify()
    data = own.notify(domain="https://example.com", uriNotify="/notify", uriUpload="/upload")
    assert list(data) == [
        *("token", "domain", "uriNotify", "uriUpload", "created_at", "lastUpdated_at", "validated_at")
    ]
    assert (data["token"], data["domain"]) == (own.token, "https://example.com")
    assert (data["uriNotify"], data["uriUpload"]) == ("/notify", "/upload")
    assert data["created_at"] == before["created_at"]
    assert data["lastUpdated_at"] > before["lastUpdated_at"]
    assert data["validated_at"] is None


@pytest.mark.parametrize(
    ("field", "value"), [("domain", "other.example.com"), ("uriNotify", "/n"), ("uriUpload", "u/p")]
)
def test_each_is_changed_alone(own: Client, field: str, value: str) -> None:
    before = own.notify()
    after = own.notify(**{field: value})
    assert after[field] == value
    others = {"domain", "uriNotify", "uriUpload"} - {field}
    assert all(after[one] == before[one] for one in others)


def test_empty_turns_it_off_and_null_leaves_it(own: Client) -> None:
    own.notify(uriNotify="/notify", uriUpload="/upload")
    data = own.notify(uriNotify="", uriUpload=None)
    assert (data["uriNotify"], data["uriUpload"]) == ("", "/upload")


@pytest.mark.parametrize(
    "domain",
    [
        "test.com",
        "http://test.com",
        "https://test.com:8443/base",
        "localhost:3000",
        "http://[::1]:80",
        " a.b ",
    ],
)
def test_a_domain_is_a_host_with_or_without_a_scheme(own: Client, domain: str) -> None:
    assert own.notify(domain=domain)["domain"] == domain.strip()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("domain", "ftp://test.com"),
        ("domain", "http://user:password@test.com"),
        ("domain", "test.com?a=b"),
        ("domain", "two words"),
        ("domain", 7),
        ("uriNotify", "https://test.com/notify"),
        ("uriUpload", "/two words"),
    ],
)
def test_what_is_no_domain_or_path_is_refused_by_its_name(own: Client, field: str, value: object) -> None:
    answer = own.ask("PATCH", NOTIFY, json={field: value})
    assert_refused(answer, 400)
    assert answer.json()["statusText"].startswith(f"{field}: must be")
