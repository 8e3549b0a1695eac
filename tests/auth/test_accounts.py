from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from diffusionapi.auth.accounts import Accounts
from diffusionapi.errors import (
    BadRequest,
    Error,
    NameTaken,
    NotAllowed,
    NotAuthenticated,
    TooManyAttempts,
)
from tests.one_or_many import of_one_machine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from diffusionapi.settings import Settings


@pytest.fixture
def make(settings: Settings) -> Iterator[Callable[..., Accounts]]:
    made: list[Accounts] = []

    def accounts(**changed: Any) -> Accounts:
        made.append(Accounts(settings.model_copy(update={"enable_signup": True} | changed)))
        return made[-1]

    yield accounts
    for one in made:
        one.close()


@pytest.fixture
def accounts(make: Callable[..., Accounts]) -> Accounts:
    return make()


def outcome(doing: Awaitable[object]) -> object:
    """What came of it: the kind of error, or nothing."""

    async def done() -> object:
        try:
            return await doing
        except Error as error:
            return type(error)

    return asyncio.run(done())


def test_who_signed_up_logs_in_with_the_password_and_no_other(accounts: Accounts) -> None:
    assert outcome(accounts.sign_up("bob", "pass wörd", "here")) is None
    assert outcome(accounts.log_in("bob", "pass wörd", "here")) is None
    for name, password in (("bob", "pass word"), ("Bob", "pass wörd"), ("bob", ""), ("nobody", "pass wörd")):
        assert outcome(accounts.log_in(name, password, "here")) is NotAuthenticated
    assert accounts.knows("bob")
    assert not accounts.knows("nobody")


def test_signing_up_twice_is_refused_even_at_once(accounts: Accounts) -> None:
    async def together() -> list[object]:
        return await asyncio.gather(
            *(accounts.sign_up("bob", str(number), "here") for number in range(6)), return_exceptions=True
        )

    outcomes = asyncio.run(together())
    assert outcomes.count(None) == 1
    assert sum(isinstance(one, NameTaken) for one in outcomes) == 5


@pytest.mark.parametrize("name", ["all", "ALL"])
def test_the_name_of_everybody_is_taken(accounts: Accounts, name: str) -> None:
    assert outcome(accounts.sign_up(name, "x", "here")) is NameTaken
    assert outcome(accounts.log_in(name, "x", "here")) is NotAuthenticated


def test_nobody_signs_up_where_that_is_disabled(make: Callable[..., Accounts]) -> None:
    assert outcome(make(enable_signup=False).sign_up("bob", "x", "here")) is NotAllowed


@pytest.mark.parametrize(
    ("name", "password"),
    [("", "x"), ("a" * 101, "x"), ("a/b", "x"), (" bob", "x"), ("a\nb", "x"), ("\ud800", "x"), ("bob", "")],
)
def test_a_name_or_password_that_cannot_be_is_refused(accounts: Accounts, name: str, password: str) -> None:
    assert outcome(accounts.sign_up(name, password, "here")) is BadRequest


@pytest.mark.parametrize(
    ("name", "password"), [("\ud800", "x"), ("bob", "\ud800"), ("a" * 10**6, "x" * 10**6)]
)
def test_a_log_in_that_cannot_be_is_like_any_wrong_one(accounts: Accounts, name: str, password: str) -> None:
    assert outcome(accounts.log_in(name, password, "here")) is NotAuthenticated


def test_guessing_is_slowed_down_for_a_user_and_an_address(make: Callable[..., Accounts]) -> None:
    accounts = make(login_attempts=2)
    outcome(accounts.sign_up("bob", "right", "here"))
    wrong = [outcome(accounts.log_in("bob", "wrong", "here")) for _ in range(3)]
    assert wrong == [NotAuthenticated, NotAuthenticated, TooManyAttempts]
    assert outcome(accounts.log_in("bob", "right", "here")) is TooManyAttempts
    assert outcome(accounts.log_in("bob", "right", "elsewhere")) is None
    assert outcome(accounts.log_in("ann", "wrong", "here")) is NotAuthenticated


def test_many_guesses_at_once_are_counted_before_any_is_made(make: Callable[..., Accounts]) -> None:
    accounts = make(login_attempts=3)

    async def together() -> list[object]:
        return await asyncio.gather(
            *(accounts.log_in("bob", "x", "here") for _ in range(20)), return_exceptions=True
        )

    assert sum(isinstance(one, NotAuthenticated) for one in asyncio.run(together())) == 3


def test_who_knows_the_password_is_never_slowed_down(make: Callable[..., Accounts]) -> None:
    accounts = make(login_attempts=1)
    outcome(accounts.sign_up("bob", "right", "here"))
    assert [outcome(accounts.log_in("bob", "right", "here")) for _ in range(3)] == [None] * 3


def test_a_log_in_of_nobody_works_as_hard_as_one_of_somebody(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what is done, not by the clock: one comparison with one hash of the same cost."""
    outcome(accounts.sign_up("bob", "right", "here"))
    compared: list[str] = []
    passwords = accounts._passwords  # noqa: SLF001
    verify = passwords._hasher.verify  # noqa: SLF001

    def counting(password: str, kept: str) -> bool:
        compared.append(kept.rpartition("$")[0].rpartition("$")[0])
        return verify(password, kept)

    monkeypatch.setattr(passwords._hasher, "verify", counting)  # noqa: SLF001
    for name in ("bob", "nobody"):
        assert outcome(accounts.log_in(name, "wrong", "here")) is NotAuthenticated
    assert len(compared) == 2
    assert compared[0] == compared[1]
    assert compared[0].startswith("$argon2id$")


@of_one_machine
def test_passwords_are_kept_as_hashes_only(accounts: Accounts, tmp_path: Path) -> None:
    outcome(accounts.sign_up("bob", "correct horse", "here"))
    accounts.close()
    for file in tmp_path.glob("users.sqlite*"):
        assert b"correct horse" not in file.read_bytes()


def test_everybody_is_known_where_access_is_public(make: Callable[..., Accounts]) -> None:
    assert make(enable_public_access=True).knows("all")
    assert not make().knows("all")


@of_one_machine
def test_nothing_is_made_before_somebody_asks(accounts: Accounts, tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == []
    accounts.tokens("users")
    assert [one.name for one in tmp_path.iterdir()] == ["secret.key"]
