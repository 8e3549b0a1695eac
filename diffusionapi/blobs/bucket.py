"""The way to a bucket of an S3 API: how long it may be silent, and what is said when it cannot do its work.

A read may take long as long as bytes come. Of a write nothing is heard before its end, so its time goes by
its size, and of one that may take long it is asked first whether the bucket answers at all.
"""

from __future__ import annotations

import functools
import logging
import re
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from diffusionapi.errors import Misconfigured, StorageFull, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore.store import ClientConfig, S3Config, S3Store

    from diffusionapi.settings import Settings

log = logging.getLogger(__name__)

_SILENCE = 3.0
"""Seconds without a word after which nobody waits for the rest."""
_CHECK = 2.0
"""Seconds a check may take: whoever asks for /readyz does not wait long."""
_CONNECT = 2.0
_READ = 300.0
"""Seconds for the whole of a read."""
_SMALL = 2**16
"""Bytes that any line takes within the time of a silence."""
_SLOWEST = 2**17
"""Bytes a second of the slowest line that a write is given time for."""
_REST = 1.0
"""Seconds a bucket that was silent is left alone."""
_RETRIES = 2
_RETRYING = 1.0
"""Seconds in which a refused request is tried again. One that met silence took longer."""
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
"""All that an answer without a body says."""
_NO_ROOM = {
    "507",
    "InsufficientStorage",
    "XMinioStorageFull",
    "QuotaExceeded",
    "XMinioAdminBucketQuotaExceeded",
}
"""What stores that are full say; Amazon's never are."""


class Bucket:
    """The place that BLOBS names, for all threads of a process. Its ways in differ in their patience."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._silence = Silence()
        self._reader = self._store(timeout=_seconds(_READ), read_timeout=_seconds(_SILENCE))
        self._checker = self._store(timeout=_seconds(_CHECK))
        self._writer = functools.cache(lambda seconds: self._store(timeout=_seconds(seconds)))

    @contextmanager
    def reading(self, done: str = "read", *, may_be_absent: bool = True) -> Iterator[S3Store]:
        """And all else that sends next to nothing. Of what may be absent FileNotFoundError stays."""
        with self._asked(done, may_be_absent=may_be_absent):
            yield self._reader

    @contextmanager
    def writing(self, key: str, size: int) -> Iterator[S3Store]:
        seconds = _SILENCE
        if size > _SMALL:
            self._knock(key)
            while seconds < _SILENCE + size / _SLOWEST:
                seconds *= 2
        with self._asked("kept"):
            yield self._writer(seconds)

    @contextmanager
    def checking(self) -> Iterator[S3Store]:
        with self._asked("kept"):
            yield self._checker

    def _knock(self, key: str) -> None:
        """Whatever it says: it is there. What it has against a write, it says to the write."""
        import obstore
        from obstore.exceptions import BaseError

        with self._asked("kept"):
            try:
                obstore.head(self._reader, key)
            except (BaseError, FileNotFoundError) as error:
                if not _said(error):
                    raise

    @contextmanager
    def _asked(self, done: str, *, may_be_absent: bool = False) -> Iterator[None]:
        """What goes wrong as one of our errors.

        Its own text, with addresses of our network and a reply in XML, is not for clients: of it the code.
        """
        from obstore.exceptions import BaseError

        if self._silence.spares():
            raise StorageUnavailable(_sentence(done, "no answer"))
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            code = _said(error)
            if code:
                self._silence.ends()
            else:
                self._silence.begins()
            if may_be_absent and isinstance(error, FileNotFoundError):
                raise
            log.debug("%s", error)
            if code in _NO_ROOM:
                raise StorageFull(
                    "No space is left where pictures are kept; free some and try again"
                ) from error
            raise StorageUnavailable(_sentence(done, code or "no answer")) from error
        else:
            self._silence.ends()

    def _store(self, **patience: timedelta) -> S3Store:
        try:
            from obstore.store import S3Store
        except ImportError as missing:
            raise Misconfigured(
                "Setting BLOBS: it needs the package obstore; "
                ".venv/bin/pip install -c constraints.txt -e '.[s3]' installs it"
            ) from missing
        settings = self._settings
        name, _, prefix = settings.blobs.removeprefix("s3://").partition("/")
        # Both as every S3 has them: the bucket in the path, and objects removed one by one.
        given: S3Config = {
            "region": settings.aws_region,
            "virtual_hosted_style_request": False,
            "disable_bulk_delete": True,
        }
        if settings.aws_endpoint_url:
            given["endpoint"] = settings.aws_endpoint_url
        if settings.aws_access_key_id:
            given["access_key_id"] = settings.aws_access_key_id
            given["secret_access_key"] = settings.aws_secret_access_key.get_secret_value()
        client: ClientConfig = {
            "allow_http": settings.aws_endpoint_url.startswith("http://"),
            "connect_timeout": _seconds(_CONNECT),
            **patience,  # type: ignore[typeddict-item]
        }
        return S3Store(
            name,
            prefix=prefix or None,
            config=given,
            client_options=client,
            retry_config={"max_retries": _RETRIES, "retry_timeout": _seconds(_RETRYING)},
        )


class Silence:
    """A bucket that did not answer is asked by one caller at a time; all others are refused at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began: float | None = None
        self._until = 0.0

    def spares(self) -> bool:
        """Whether the bucket is to be left alone now. Whoever hears False asks it."""
        with self._lock:
            now = time.monotonic()
            if self._began is None:
                return False
            if now < self._until:
                return True
            self._until = now + _SILENCE + _REST
            return False

    def begins(self) -> None:
        with self._lock:
            now = time.monotonic()
            self._until = now + _REST
            if self._began is None:
                self._began = now
                log.warning("the bucket of pictures does not answer; asking it until it does")

    def ends(self) -> None:
        with self._lock:
            if self._began is not None:
                log.warning("the bucket answers again after %.1f s", time.monotonic() - self._began)
                self._began = None


def _said(error: Exception) -> str:
    """Its answer in a word; empty when there was none."""
    found = _CODE.search(str(error)) or _STATUS.search(str(error))
    if found:
        return found[1]
    return "not found" if isinstance(error, FileNotFoundError) else ""


def _sentence(done: str, why: str) -> str:
    return f"No picture can be {done} in its bucket now ({why}); try again"


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=number)
