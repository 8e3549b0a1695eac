"""generate_ssl_certs.sh: what its certificate says, which clients accept it, and when files are replaced."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from diffusionapi.settings import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASH, CURL, OPENSSL = (shutil.which(name) or name for name in ("bash", "curl", "openssl"))
SCRIPT = PROJECT / "generate_ssl_certs.sh"
TOOLS = (
    "cat",
    "chmod",
    "dirname",
    "grep",
    "mkdir",
    "mktemp",
    "mv",
    "openssl",
    "rm",
    "sed",
    "sort",
    "tr",
    "uname",
)
DAY = 24 * 60 * 60

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")


def run(*command: str | Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command's outcome; `path` is all of PATH when given."""
    env = {"PATH": str(path)} if path else None
    return subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def generate(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return run(SCRIPT, "--out", folder, *flags)


def openssl(*arguments: str | Path) -> str:
    outcome = run(OPENSSL, *arguments)
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def folder_of_tools(parent: Path, *names: str) -> Path:
    """A PATH with these commands and no others."""
    folder = parent / "tools"
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name) or name)
    return folder


def described(folder: Path) -> str:
    return openssl("x509", "-in", folder / "cert.pem", "-noout", "-text")


def lifetime(folder: Path) -> float:
    """From the certificate's first second to its last, in seconds."""
    dates = openssl("x509", "-in", folder / "cert.pem", "-noout", "-startdate", "-enddate").splitlines()
    begin, end = (ssl.cert_time_to_seconds(line.partition("=")[2]) for line in dates)
    return end - begin


def write_pair(folder: Path, days: int, *flags: str | Path) -> None:
    """A pair that the script did not make."""
    folder.mkdir(exist_ok=True)
    new = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days))
    names = ("-subj", "/CN=own", "-addext", "subjectAltName=DNS:old.example,IP:10.9.8.7")
    openssl("req", *new, *names, "-keyout", folder / "key.pem", "-out", folder / "cert.pem", *flags)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    outcome = generate(folder, "--host", "box.example", "--host", "10.1.2.3", "--host", "*.lan.example")
    assert outcome.returncode == 0, outcome.stderr
    return folder


@contextmanager
def https_server(folder: Path) -> Iterator[int]:
    """The port of a server with the folder's pair that serves the folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def port(pair: Path) -> Iterator[int]:
    with https_server(pair) as port:
        yield port


def shake_hands(port: int, trusted: Path, name: str) -> None:
    context = ssl.create_default_context(cafile=trusted)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        secured.sendall(b"GET /cert.pem HTTP/1.0\r\n\r\n")
        assert secured.recv(12) == b"HTTP/1.0 200"


def test_the_certificate_is_for_localhost_this_machine_and_the_names_asked_for(pair: Path) -> None:
    names = openssl("x509", "-in", pair / "cert.pem", "-noout", "-ext", "subjectAltName")
    for name in ("localhost", socket.gethostname(), "box.example", "*.lan.example"):
        assert f"DNS:{name}" in names
    for address in ("127.0.0.1", "0:0:0:0:0:0:0:1", "10.1.2.3"):
        assert f"IP Address:{address}" in names


def test_the_certificate_is_for_the_addresses_of_this_machine(tmp_path: Path) -> None:
    tools = folder_of_tools(tmp_path, *TOOLS)
    (tools / "hostname").write_text("#!/bin/sh\necho 192.0.2.7 fd00::7 198.51.100.7\n")
    (tools / "hostname").chmod(0o700)
    assert run(BASH, SCRIPT, "--out", tmp_path, path=tools).returncode == 0
    names = openssl("x509", "-in", tmp_path / "cert.pem", "-noout", "-ext", "subjectAltName")
    assert "IP Address:192.0.2.7" in names
    assert "IP Address:198.51.100.7" in names


def test_a_machine_that_cannot_tell_its_addresses_gets_a_certificate(tmp_path: Path) -> None:
    tools = folder_of_tools(tmp_path, *TOOLS)
    assert run(BASH, SCRIPT, "--out", tmp_path, path=tools).returncode == 0
    assert "DNS:localhost" in described(tmp_path)


def test_the_certificate_is_a_p256_leaf_for_servers_only(pair: Path) -> None:
    text = " ".join(described(pair).split())
    assert "NIST CURVE: P-256" in text
    assert "Basic Constraints: critical CA:FALSE" in text
    assert "Key Usage: critical Digital Signature X509v3" in text
    assert "Extended Key Usage: TLS Web Server Authentication X509v3" in text


def test_the_certificate_lasts_397_days(pair: Path) -> None:
    assert lifetime(pair) == 397 * DAY


def test_only_the_owner_can_read_the_key_whatever_the_umask(tmp_path: Path) -> None:
    outcome = run(BASH, "-c", 'umask 000; exec "$@"', BASH, SCRIPT, "--out", tmp_path)
    assert outcome.returncode == 0
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "cert.pem").stat().st_mode & 0o777 == 0o644


def test_nothing_but_the_two_files_is_left_in_a_folder_that_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "made for it"
    assert generate(folder).returncode == 0
    assert set(contents(folder)) == {"cert.pem", "key.pem"}


def test_the_pair_goes_beside_the_script_from_wherever_it_is_called(tmp_path: Path) -> None:
    script = shutil.copy(SCRIPT, tmp_path)
    assert run(script).returncode == 0
    assert {"cert.pem", "key.pem"} < set(contents(tmp_path))


@pytest.mark.parametrize(
    "name", ["localhost", "127.0.0.1", "::1", "box.example", "10.1.2.3", "any.lan.example"]
)
def test_python_accepts_it_in_strict_mode(pair: Path, port: int, name: str) -> None:
    shake_hands(port, pair / "cert.pem", name)


def test_python_refuses_it_for_another_name(pair: Path, port: int) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(port, pair / "cert.pem", "elsewhere.example")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_accepts_it_when_told_to_trust_it_and_only_then(pair: Path, port: int) -> None:
    request = ("--silent", "--show-error", "--noproxy", "*", f"https://localhost:{port}/cert.pem")
    assert run(CURL, "--cacert", pair / "cert.pem", *request).stdout == (pair / "cert.pem").read_text()
    assert "self-signed" in run(CURL, *request).stderr


def test_a_valid_pair_is_kept_and_the_script_says_so(tmp_path: Path) -> None:
    write_pair(tmp_path, days=9)
    before = contents(tmp_path)
    outcome = generate(tmp_path)
    assert outcome.returncode == 0
    assert "still valid" in outcome.stdout
    assert "--force" in outcome.stdout
    assert contents(tmp_path) == before


def test_force_replaces_a_valid_pair(tmp_path: Path) -> None:
    write_pair(tmp_path, days=9)
    before = contents(tmp_path)
    assert generate(tmp_path, "--force").returncode == 0
    after = contents(tmp_path)
    assert all(after[name] != before[name] for name in before)
    assert lifetime(tmp_path) == 397 * DAY


def test_a_self_signed_pair_that_ends_soon_is_renewed_for_the_names_it_has(tmp_path: Path) -> None:
    write_pair(tmp_path, days=6)
    outcome = generate(tmp_path)
    assert outcome.returncode == 0
    assert "renewing" in outcome.stdout
    assert lifetime(tmp_path) == 397 * DAY
    assert "DNS:old.example" in described(tmp_path)
    assert "IP Address:10.9.8.7" in described(tmp_path)


def test_a_pair_from_an_authority_is_never_replaced_unasked(tmp_path: Path) -> None:
    write_pair(tmp_path / "authority", 30, "-subj", "/CN=authority")
    authority = tmp_path / "authority"
    signed = ("-subj", "/CN=site", "-CA", authority / "cert.pem", "-CAkey", authority / "key.pem")
    write_pair(tmp_path / "site", 6, *signed)
    before = contents(tmp_path / "site")
    outcome = generate(tmp_path / "site")
    assert outcome.returncode == 1
    assert "not self-signed" in outcome.stderr
    assert contents(tmp_path / "site") == before


def test_a_valid_pair_without_a_name_asked_for_is_kept_and_the_script_says_so(tmp_path: Path) -> None:
    write_pair(tmp_path, days=9)
    assert generate(tmp_path, "--host", "old.example", "--host", "10.9.8.7").returncode == 0
    before = contents(tmp_path)
    outcome = generate(tmp_path, "--host", "new.example")
    assert outcome.returncode == 1
    assert "not for new.example" in outcome.stderr
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("damaged", "sentence"), [("cert.pem", "not a certificate"), ("key.pem", "does not belong")]
)
def test_a_damaged_pair_is_named_and_kept(tmp_path: Path, damaged: str, sentence: str) -> None:
    write_pair(tmp_path, days=9)
    (tmp_path / damaged).write_text("something else")
    before = contents(tmp_path)
    outcome = generate(tmp_path)
    assert outcome.returncode == 1
    assert sentence in outcome.stderr
    assert contents(tmp_path) == before


def test_a_lone_key_is_kept(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("somebody's")
    outcome = generate(tmp_path)
    assert outcome.returncode == 1
    assert "Only one" in outcome.stderr
    assert contents(tmp_path) == {"key.pem": b"somebody's"}


def test_the_old_pair_stays_when_no_new_one_can_be_made(tmp_path: Path) -> None:
    write_pair(tmp_path, days=9)
    before = contents(tmp_path)
    outcome = generate(tmp_path, "--force", "--host", "999.1.1.1")
    assert outcome.returncode == 1
    assert "openssl did not make the certificate" in outcome.stderr
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "flags",
    [("--nonsense",), ("--out",), ("--host",), ("--host", "a\nDNS.9 = bank.example"), ("--host", "a,DNS:b")],
)
def test_a_wrong_flag_is_answered_with_a_sentence(flags: tuple[str, ...]) -> None:
    outcome = run(SCRIPT, *flags)
    assert outcome.returncode == 2
    assert "--help" in outcome.stderr


def test_help_names_every_flag() -> None:
    outcome = run(SCRIPT, "--help")
    assert outcome.returncode == 0
    assert all(flag in outcome.stdout for flag in ("--force", "--out", "--host", "--help"))


def test_without_openssl_the_package_to_install_is_named(tmp_path: Path) -> None:
    tools = folder_of_tools(tmp_path, "dirname")
    outcome = run(BASH, SCRIPT, "--out", tmp_path, path=tools)
    assert outcome.returncode == 1
    assert "apt-get install openssl" in outcome.stderr


def test_the_hint_names_an_address_that_answers_on_the_port_in_force(tmp_path: Path) -> None:
    """The environment's port, else that of `.env` beside the script, else the default."""
    (tmp_path / "project").mkdir()
    script = shutil.copy(SCRIPT, tmp_path / "project")

    def hint(**variables: str) -> str:
        env = {"PATH": os.environ["PATH"]} | variables
        command = [script, "--force", "--out", str(tmp_path / "out")]
        said = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
        return said.splitlines()[-1].strip()

    assert hint() == f"curl --cacert '{tmp_path}/out/cert.pem' https://localhost:7866/hello"
    (tmp_path / "project/.env").write_text("HOST=127.0.0.1\nPORT=1111\nexport PORT='2222' # ours\n")
    assert hint().endswith("https://localhost:2222/hello")
    assert hint(PORT="3333").endswith("https://localhost:3333/hello")
