"""Where jobs and pictures are kept, as settings say it: what an address looks like, and how it is shown."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit, urlunsplit

REDIS = ("redis", "rediss", "unix")
"""Schemes of a Redis: plain, with TLS, by a socket of this machine."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"([\w.=-]+(/[\w.=-]+)*/?)?")
_PASSWORD = re.compile(r"(?<=://).*@")
_JOB_STORE = (
    "must be 'file:' followed by a folder, as in 'file:queue', 'memory:', or a Redis, as in "
    "'redis://localhost:6379/0' (rediss:// with TLS, unix:///PATH?db=0 for a socket)"
)


def job_store(value: str) -> str:
    if value == "memory:" or (value.startswith("file:") and value != "file:"):
        return value
    if is_redis(value) and _can_be_reached(value):
        return value
    raise ValueError(_JOB_STORE)


def blobs(value: str) -> str:
    if value in ("file:", "redis:"):
        return value
    if value.startswith("s3://") and value != "s3://":
        return _bucket(value)
    raise ValueError(
        "must be 'file:' (OUTPUTS_DIR and UPLOADS_DIR), 's3://BUCKET' or 's3://BUCKET/PREFIX', or 'redis:'"
    )


def _bucket(value: str) -> str:
    bucket, _, prefix = value.removeprefix("s3://").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(
            f"the name of a bucket has 3 to 63 small letters, digits, '-' and '.', which {bucket!r} has not"
        )
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(
            f"the prefix may have letters, digits, '_', '-', '.' and '=', and single '/', not {prefix!r}"
        )
    return value.rstrip("/")


def is_redis(address: str) -> bool:
    return address.partition("://")[0] in REDIS


def by_parts(host: str, port: int) -> str:
    """The address of a Redis; a host with colons is one of IPv6."""
    return f"redis://{f'[{host}]' if ':' in host else host}:{port}/0"


def with_password(address: str, password: str) -> str:
    """An address without a password, with one."""
    parts = urlsplit(address)
    if not password or parts.password is not None:
        return address
    place = f"{parts.username or ''}:{quote(password, safe='')}@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=place))


def shown(address: str) -> str:
    """An address for people and logs: who the caller is and by which password is left out."""
    return _PASSWORD.sub("*****@", address)


def _can_be_reached(address: str) -> bool:
    try:
        parts = urlsplit(address)
        _ = parts.port  # which is looked at only when it is asked for
    except ValueError:
        return False
    if parts.scheme == "unix":
        return bool(parts.path.strip("/"))
    return bool(parts.hostname) and re.fullmatch(r"(/\d*)?", parts.path) is not None
