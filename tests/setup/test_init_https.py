"""init_https.sh: which certificate each answer and flag chooses; a stub stands for init.sh."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from diffusionapi.settings import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

INIT = """#!/usr/bin/env bash
printf '%s\\n' "certificate: ${SSL_CERTFILE-unset}" "key: ${SSL_KEYFILE-unset}" "flags: $*"
"""

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")


class Menu:
    """init_https.sh beside an init.sh that only tells how it was called."""

    def __init__(self, parent: Path) -> None:
        self.folder = parent / "the project"
        self.elsewhere = parent / "elsewhere"
        self.folder.mkdir()
        self.elsewhere.mkdir()
        for name in ("init_https.sh", "generate_ssl_certs.sh"):
            shutil.copy(PROJECT / name, self.folder)
        (self.folder / "init.sh").write_text(INIT)
        (self.folder / "init.sh").chmod(0o700)

    def choose(self, *flags: str, answers: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "init_https.sh", *flags],
            input=answers,
            env={**os.environ, **variables},
            cwd=self.elsewhere,
            capture_output=True,
            text=True,
            check=False,
        )

    def make_pair(self, name: str) -> tuple[Path, Path]:
        folder = self.elsewhere / name
        command: list[str | Path] = [self.folder / "generate_ssl_certs.sh", "--out", folder]
        subprocess.run(command, check=True, capture_output=True)
        return folder / "cert.pem", folder / "key.pem"


def told(certificate: Path | str, key: Path | str, flags: str = "") -> str:
    return f"certificate: {certificate}\nkey: {key}\nflags: {flags}\n"


@pytest.fixture
def menu(tmp_path: Path) -> Menu:
    return Menu(tmp_path)


@pytest.mark.parametrize("answers", ["1\n", "\n", ""])
def test_http_is_the_default_and_empties_both_settings(menu: Menu, answers: str) -> None:
    outcome = menu.choose(answers=answers, SSL_CERTFILE="/old", SSL_KEYFILE="/old")
    assert outcome.returncode == 0
    assert outcome.stdout.endswith(told("", ""))


def test_another_answer_means_http_and_is_named(menu: Menu) -> None:
    outcome = menu.choose(answers="7\n")
    assert "'7' is none of them; starting with HTTP." in outcome.stdout
    assert outcome.stdout.endswith(told("", ""))


def test_a_person_who_answers_something_else_is_asked_again(menu: Menu) -> None:
    ours, its = pty.openpty()
    os.write(ours, b"7\nno\n1\n")
    outcome = subprocess.run(
        [menu.folder / "init_https.sh"], stdin=its, capture_output=True, text=True, check=False, timeout=30
    )
    os.close(its)
    os.close(ours)
    assert "'7' is none of them. 1, 2 or 3: " in outcome.stderr
    assert "'no' is none of them. 1, 2 or 3: " in outcome.stderr
    assert outcome.stdout.endswith(told("", ""))


def test_an_unknown_flag_is_refused_before_anything_is_asked(menu: Menu) -> None:
    outcome = menu.choose("--nonsense", answers="1\n")
    assert outcome.returncode == 2
    assert "does not know '--nonsense'" in outcome.stderr
    assert outcome.stdout == ""


def test_the_menu_shows_the_three_ways(menu: Menu) -> None:
    ways = (
        "1  HTTP (default)",
        "2  HTTPS with a self-signed certificate",
        "3  HTTPS with your own certificate",
    )
    shown = menu.choose().stdout
    assert all(way in shown for way in ways)


def test_http_can_be_chosen_by_flag_and_other_flags_are_passed_on(menu: Menu) -> None:
    outcome = menu.choose("--no-start", "--http", "--dev", answers="2\n")
    assert outcome.stdout == told("", "", "--no-start --dev")


@needs_openssl
@pytest.mark.parametrize(("flags", "answers"), [((), "2\n"), (("--self-signed",), "")])
def test_a_self_signed_pair_is_made_once(menu: Menu, flags: tuple[str, ...], answers: str) -> None:
    certificate, key = menu.folder / "cert.pem", menu.folder / "key.pem"
    assert menu.choose(*flags, answers=answers).stdout.endswith(told(certificate, key))
    made = certificate.read_bytes(), key.read_bytes()
    assert menu.choose(*flags, answers=answers).stdout.endswith(told(certificate, key))
    assert (certificate.read_bytes(), key.read_bytes()) == made


@needs_openssl
def test_own_files_are_taken_from_answers(menu: Menu) -> None:
    certificate, key = menu.make_pair("own")
    outcome = menu.choose(answers=f"3\n{certificate}\n{key}\n")
    assert outcome.stdout.endswith(told(certificate, key))


@needs_openssl
def test_own_files_are_taken_from_flags_relative_to_where_one_stands(menu: Menu) -> None:
    certificate, key = menu.make_pair("own")
    outcome = menu.choose("--cert", "own/cert.pem", "--key", "own/key.pem", "--no-start")
    assert outcome.stdout == told(certificate, key, "--no-start")


@needs_openssl
def test_a_tilde_in_an_answer_is_the_home_folder(menu: Menu) -> None:
    certificate, key = menu.make_pair("own")
    outcome = menu.choose(answers="3\n~/own/cert.pem\n~/own/key.pem\n", HOME=str(menu.elsewhere))
    assert outcome.stdout.endswith(told(certificate, key))


@needs_openssl
def test_own_files_that_will_not_do_are_named_and_nothing_is_started(menu: Menu) -> None:
    certificate, key = menu.make_pair("own")
    _, other_key = menu.make_pair("other")
    for answers, sentence in (
        (f"{menu.elsewhere}/none\n{key}\n", "There is no certificate to read at"),
        (f"{certificate}\n{menu.elsewhere}/none\n", "There is no key to read at"),
        (f"{key}\n{key}\n", "is not a certificate"),
        (f"{certificate}\n{certificate}\n", "is not a private key"),
        (f"{certificate}\n{other_key}\n", "does not belong to the certificate"),
        (f"{certificate}\n", "Both paths are needed"),
        ("", "Both paths are needed"),
    ):
        outcome = menu.choose(answers=f"3\n{answers}")
        assert outcome.returncode == 1
        assert sentence in outcome.stderr
        assert "flags:" not in outcome.stdout


@needs_openssl
def test_a_key_with_a_passphrase_is_refused_without_asking_for_it(menu: Menu) -> None:
    certificate, key = menu.make_pair("own")
    locked = key.with_name("locked.pem")
    openssl = shutil.which("openssl") or "openssl"
    command: list[str | Path] = [
        openssl,
        "pkey",
        "-in",
        key,
        "-aes256",
        "-passout",
        "pass:secret",
        "-out",
        locked,
    ]
    subprocess.run(command, check=True, capture_output=True)
    outcome = menu.choose("--cert", str(certificate), "--key", str(locked))
    assert outcome.returncode == 1
    assert "without a passphrase" in outcome.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ("--cert", "a"),
        ("--key", "a"),
        ("--cert",),
        ("--http", "--self-signed"),
        ("--http", "--cert", "a", "--key", "b"),
    ],
)
def test_flags_that_do_not_go_together_are_answered_with_a_sentence(
    menu: Menu, flags: tuple[str, ...]
) -> None:
    outcome = menu.choose(*flags)
    assert outcome.returncode == 2
    assert "--help" in outcome.stderr


def test_help_names_every_flag(menu: Menu) -> None:
    outcome = menu.choose("--help")
    assert outcome.returncode == 0
    assert all(flag in outcome.stdout for flag in ("--http", "--self-signed", "--cert", "--key", "--help"))
