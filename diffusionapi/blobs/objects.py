"""A shelf in a bucket of an S3 API. A file's age is the time of its object.

A read or a write that cannot be done is tried again for a few seconds by the client itself, as is the rule
with object storage.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from diffusionapi.blobs.shelf import Shelf
from diffusionapi.errors import Misconfigured, StorageFull, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore.store import S3Config, S3Store

    from diffusionapi.blobs.shelf import Method
    from diffusionapi.settings import Settings

log = logging.getLogger(__name__)

_CONNECT = timedelta(seconds=2)
_TIMEOUT = timedelta(seconds=20)
"""Of one request, with a picture of some megabytes in it."""
_RETRIES = 2
_RETRYING = timedelta(seconds=4)
_LINK = timedelta(minutes=15)
"""How long a link to a picture leads to it."""
_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}
_LISTED = 1000
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


def bucket(settings: Settings) -> S3Store:
    """The place that BLOBS names."""
    try:
        from obstore.store import S3Store
    except ImportError as missing:
        raise Misconfigured(
            "Setting BLOBS: it needs the package obstore; "
            ".venv/bin/pip install -c constraints.txt -e '.[s3]' installs it"
        ) from missing
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
    return S3Store(
        name,
        prefix=prefix or None,
        config=given,
        client_options={
            "allow_http": settings.aws_endpoint_url.startswith("http://"),
            "connect_timeout": _CONNECT,
            "timeout": _TIMEOUT,
        },
        retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRYING},
    )


class ObjectShelf(Shelf):
    """`folder` is the part of the bucket that it takes. With `links` clients are sent to the bucket, by
    addresses that are signed for a quarter of an hour."""

    def __init__(self, store: S3Store, folder: str, *, links: bool = False) -> None:
        self._store = store
        self._prefix = f"{folder}/"
        self._links = links

    def write(self, name: str, content: bytes) -> None:
        import obstore

        kind = _TYPES.get(name[-4:], "application/octet-stream")
        with _errors("kept"):
            # As one request: a part of a picture is never seen, and nothing is left of one that failed.
            obstore.put(
                self._store,
                self._prefix + name,
                content,
                attributes={"Content-Type": kind},
                use_multipart=False,
            )

    def read(self, name: str) -> bytes | None:
        import obstore

        try:
            with _errors("read", may_be_absent=True):
                return obstore.get(self._store, self._prefix + name).bytes().to_bytes()
        except FileNotFoundError:
            return None

    def beginning(self, name: str, length: int) -> bytes | None:
        import obstore

        try:
            with _errors("read", may_be_absent=True):
                return obstore.get_range(self._store, self._prefix + name, start=0, end=length).to_bytes()
        except FileNotFoundError:
            return None

    def has(self, name: str) -> bool:
        return self._touched(name) is not None

    def remove(self, name: str) -> None:
        import obstore

        try:
            with _errors("removed", may_be_absent=True):
                obstore.delete(self._store, self._prefix + name)
        except FileNotFoundError:  # which S3 itself does not say, but some like it do
            return

    def touch(self, name: str) -> bool:
        """Written anew: nothing else changes the time of an object, and S3 does not copy one to itself."""
        content = self.read(name)
        if content is None:
            return False
        self.write(name, content)
        return True

    def aged(self, before: float) -> set[str]:
        import obstore

        with _errors("listed"):
            return {
                one["path"].removeprefix(self._prefix)
                for chunk in obstore.list(self._store, self._prefix, chunk_size=_LISTED)
                for one in chunk
                if one["last_modified"].timestamp() < before
            }

    def remove_aged(self, name: str, before: float) -> bool:
        """S3 knows no lock: what is touched between look and removal is lost. What jobs need is touched
        at half its time, so nothing of theirs is this late."""
        touched = self._touched(name)
        if touched is None or touched >= before:
            return False
        self.remove(name)
        return True

    def check(self) -> None:
        import obstore

        with _errors("kept"):
            obstore.put(self._store, self._prefix + ".probe", b"probe", use_multipart=False)

    def url(self, name: str, method: Method) -> str | None:
        import obstore

        if not self._links or not self.has(name):
            return None
        with _errors("signed"):
            return obstore.sign(self._store, method, self._prefix + name, _LINK)

    def _touched(self, name: str) -> float | None:
        import obstore

        try:
            with _errors("read", may_be_absent=True):
                return obstore.head(self._store, self._prefix + name)["last_modified"].timestamp()
        except FileNotFoundError:
            return None


@contextmanager
def _errors(done: str, *, may_be_absent: bool = False) -> Iterator[None]:
    """What goes wrong as one of our errors; of an object that may be absent FileNotFoundError stays.

    Its own text, with addresses of our network and a reply in XML, is not for our clients: of it the code.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        if may_be_absent and isinstance(error, FileNotFoundError):
            raise
        log.debug("%s", error)
        said = _CODE.search(str(error)) or _STATUS.search(str(error))
        code = said[1] if said else "no answer"
        if code in _NO_ROOM:
            raise StorageFull("No space is left where pictures are kept; free some and try again") from error
        raise StorageUnavailable(f"No picture can be {done} in its bucket now ({code}); try again") from error
