"""What is looked at before a start: everything an operator can have set wrong, each in one sentence.

The server, `--check` and the worker ask here, so all of them say the same. Nothing is made on disk.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from diffusionapi.auth.keys import doubts as key_doubts
from diffusionapi.auth.keys import problems as key_problems
from diffusionapi.catalog.catalog import Catalog
from diffusionapi.engine.build import with_engine
from diffusionapi.errors import Error, Misconfigured
from diffusionapi.records.open import doubts as record_doubts
from diffusionapi.settings import Settings, unknown_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOLDERS_TO_READ = (
    "models_dir",
    "loras_dir",
    "upscalers_dir",
    "embeddings_dir",
    "controlnet_dir",
    "hints_dir",
    "vaes_dir",
    "faces_dir",
    "translators_dir",
)


def load(*, tls: bool = False, **given: object) -> Settings:
    """The settings in force, with an engine named; `tls` looks at the certificate, too. What is `given` goes
    before the environment."""
    settings = Settings.load(**given)
    found = problems(settings)
    if tls and (problem := tls_problem(settings)):
        found.append(problem)
    if found:
        raise Misconfigured("\n".join(found))
    return with_engine(settings)


def problems(settings: Settings) -> list[str]:
    """What keeps a server or a worker with these settings from working."""
    if not settings.data_dir.is_dir():
        return [f"Setting DATA_DIR: there is no folder {settings.data_dir}; make it, or name another"]
    found = [_package_problem(settings), *key_problems(settings), *_blob_problems(settings)]
    kind, _, place = settings.job_store.partition(":")
    if kind == "file":
        found.append(_folder_problem("JOB_STORE", settings.path(place)))
    elif kind == "memory" and settings.workers == 0:
        found.append(
            "Setting WORKERS: with JOB_STORE=memory: nobody else can reach the jobs, so 0 would leave them "
            "all waiting; use JOB_STORE=file:queue or WORKERS=1"
        )
    labels = _labels_problem(settings)
    found += [labels] if labels else [_model_problem(settings)]
    return [one for one in found if one]


def doubts(settings: Settings) -> list[str]:
    """What is probably a slip but keeps nothing from working."""
    found = unknown_names() + key_doubts(settings) + _redis_doubts(settings) + record_doubts(settings)
    if settings.workers != 0:
        found += _training_doubts(settings)
    for name in _FOLDERS_TO_READ:
        folder = settings.path(getattr(settings, name))
        if name in settings.model_fields_set and not folder.is_dir():
            found.append(
                f"Setting {name.upper()}: there is no folder {folder} (yet), so nothing is found there"
            )
    return found


def _training_doubts(settings: Settings) -> Iterator[str]:
    """Whoever only serves and paints needs neither folder to write to."""
    for name in ("loras_dir", "trainings_dir"):
        if problem := _folder_problem(name.upper(), settings.path(getattr(settings, name))):
            yield f"{problem}, so trainings end in an error here"


def _redis_doubts(settings: Settings) -> list[str]:
    if settings.redis_url is None:
        given = [
            name
            for name in ("redis_host", "redis_port", "redis_password")
            if name in settings.model_fields_set
        ]
        names = ", ".join(name.upper() for name in given if getattr(settings, name))
        return [f"Settings {names}: not used, since the jobs are in {settings.job_store}"] if names else []
    if settings.blobs == "file:" and settings.workers == 0:
        folder = settings.path(settings.outputs_dir)
        return [f"Setting BLOBS: pictures of other machines' workers are found only if they share {folder}"]
    return []


def _blob_problems(settings: Settings) -> Iterator[str | None]:
    if settings.blobs == "file:":
        yield _folder_problem("OUTPUTS_DIR", settings.path(settings.outputs_dir))
        yield _folder_problem("UPLOADS_DIR", settings.path(settings.uploads_dir))
    if settings.blobs == "redis:" and settings.redis_url is None:
        yield "Setting BLOBS: 'redis:' is the Redis of JOB_STORE, which names none; use 'file:'"
    yield _folder_problem("SPOOL_DIR", settings.path(settings.spool_dir))


def _package_problem(settings: Settings) -> str | None:
    """A package that is needed and not there."""
    needed = (
        ("JOB_STORE", "redis", "redis", settings.redis_url is not None),
        ("BLOBS", "s3", "obstore", settings.blobs.startswith("s3:")),
    )
    for setting, extra, package, wanted in needed:
        if wanted and find_spec(package) is None:
            return (
                f"Setting {setting}: it needs the package {package}; "
                f".venv/bin/pip install -c constraints.txt -e '.[{extra}]' installs it"
            )
    return None


def _folder_problem(setting: str, folder: Path) -> str | None:
    """Why files could not be kept there; the folder itself may still have to be made."""
    there = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    if not there.is_dir():
        return f"Setting {setting}: {there} is not a folder"
    if not os.access(there, os.W_OK | os.X_OK):
        wish = "written to" if there == folder else f"given the folder {folder}"
        return f"Setting {setting}: {there} cannot be {wish} by this user"
    return None


def _labels_problem(settings: Settings) -> str | None:
    path = settings.path(settings.model_labels)
    if "model_labels" in settings.model_fields_set and not path.is_file():
        return f"Setting MODEL_LABELS: there is no file {path}"
    try:
        _ = Catalog(settings).labels
    except Error as error:
        return f"Setting MODEL_LABELS: {error.sentence}"
    return None


def _model_problem(settings: Settings) -> str | None:
    if not settings.default_model:
        return None
    try:
        Catalog(with_engine(settings)).default_model("Setting DEFAULT_MODEL")
    except Error as error:
        return error.sentence
    return None


def tls_problem(settings: Settings) -> str | None:
    """Why HTTPS, which the settings ask for, could not be served; None when it can, or is not asked for."""
    named = {"SSL_CERTFILE": settings.ssl_certfile, "SSL_KEYFILE": settings.ssl_keyfile}
    explicit = [name for name in named if name.lower() in settings.model_fields_set and named[name]]
    for name in explicit:
        if not settings.path(named[name]).is_file():
            return f"Setting {name}: there is no file {settings.path(named[name])}"
        if not all(named.values()):
            other = next(one for one in named if one != name)
            return f"Setting {other} is empty and {name} is not; HTTPS needs both, HTTP neither"
    if not all(named.values()):
        return None
    there = [settings.path(value) for value in named.values() if settings.path(value).is_file()]
    if len(there) == 1:
        lacking = next(value for value in named.values() if settings.path(value) not in there)
        return (
            f"{there[0]} is there and {settings.path(lacking)} is not; HTTPS needs both "
            "(./generate_ssl_certs.sh makes a pair, SSL_CERTFILE= means HTTP)"
        )
    return _pair_problem(*there) if there else None


def _pair_problem(certificate: Path, key: Path) -> str | None:
    try:
        # Without a password given, OpenSSL would ask for it on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"The key {key} does not belong to the certificate {certificate}"
        return f"{certificate} and {key} are not a certificate and its key (PEM, without a passphrase)"
    except OSError as error:
        return f"{certificate} and {key} cannot be read: {error.strerror}"
    return None


def url_of(settings: Settings) -> str:
    """Where a browser on this machine, or wherever BASE_URL says, reaches the server."""
    if settings.base_url:
        return settings.base_url
    host = "localhost" if settings.host in ("", "0.0.0.0", "::") else settings.host  # noqa: S104 - compared
    scheme = "https" if settings.tls_files else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}"


def address_problem(settings: Settings, url: str) -> str | None:
    """Why the server cannot listen on HOST and PORT, with the way out; None when it can."""
    host, port = settings.host, settings.port
    advice = "use 0.0.0.0 for all addresses of this machine, 127.0.0.1 for programs on this machine alone"
    try:
        family, address = _resolved(host, port)
    except (OSError, UnicodeError):
        return f"Setting HOST: {host!r} is no address, and no name that can be resolved; {advice}"
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                return f"Setting HOST: {host!r} is not an address of this machine; {advice}"
            if error.errno == errno.EADDRINUSE:
                return (
                    f"Port {port} is in use. Is the server running already? {url}\n"
                    f"Otherwise choose another: PORT={port + 1 if port < 65535 else 7866} ./init.sh"
                )
            other = port if port >= 1024 else 7866
            way_out = f"Choose another: PORT={other} ./init.sh"
            return f"Cannot listen on {host} port {port}: {error.strerror}. {way_out}"
    return None


def _resolved(host: str, port: int) -> tuple[int, Any]:
    """Family and address to bind a socket to."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return family, address


def free_port(settings: Settings) -> Settings:
    """PORT=0 replaced by a port that is free now, so that the address can be told before it is served."""
    if settings.port:
        return settings
    family, address = _resolved(settings.host, 0)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind(address)
        return settings.model_copy(update={"port": probe.getsockname()[1]})
