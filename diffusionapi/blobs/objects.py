"""A shelf in a bucket of an S3 API. A file's age is the time of its object.

A read or a write that is refused is tried again by the client itself, as is the rule with object storage.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from diffusionapi.blobs.shelf import Shelf

if TYPE_CHECKING:
    from diffusionapi.blobs.bucket import Bucket
    from diffusionapi.blobs.shelf import Method

_LINK = timedelta(minutes=15)
"""How long a link to a picture leads to it."""
_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}
_LISTED = 1000


class ObjectShelf(Shelf):
    """`folder` is the part of the bucket that it takes. With `links` clients are sent to the bucket, by
    addresses that are signed for a quarter of an hour."""

    def __init__(self, bucket: Bucket, folder: str, *, links: bool = False) -> None:
        self._bucket = bucket
        self._prefix = f"{folder}/"
        self._links = links

    def write(self, name: str, content: bytes) -> None:
        import obstore

        kind = _TYPES.get(name[-4:], "application/octet-stream")
        key = self._prefix + name
        with self._bucket.writing(key, len(content)) as store:
            # As one request: a part of a picture is never seen, and nothing is left of one that failed.
            obstore.put(
                store,
                key,
                content,
                attributes={"Content-Type": kind},
                use_multipart=False,
            )

    def read(self, name: str) -> bytes | None:
        import obstore

        try:
            with self._bucket.reading() as store:
                return obstore.get(store, self._prefix + name).bytes().to_bytes()
        except FileNotFoundError:
            return None

    def beginning(self, name: str, length: int) -> bytes | None:
        import obstore

        try:
            with self._bucket.reading() as store:
                return obstore.get_range(store, self._prefix + name, start=0, end=length).to_bytes()
        except FileNotFoundError:
            return None

    def has(self, name: str) -> bool:
        return self._touched(name) is not None

    def remove(self, name: str) -> None:
        import obstore

        try:
            with self._bucket.reading("removed") as store:
                obstore.delete(store, self._prefix + name)
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

        with self._bucket.reading("listed", may_be_absent=False) as store:
            return {
                one["path"].removeprefix(self._prefix)
                for chunk in obstore.list(store, self._prefix, chunk_size=_LISTED)
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

        with self._bucket.checking() as store:
            obstore.put(store, self._prefix + ".probe", b"probe", use_multipart=False)

    def url(self, name: str, method: Method) -> str | None:
        import obstore

        if not self._links or not self.has(name):
            return None
        with self._bucket.reading("signed", may_be_absent=False) as store:
            return obstore.sign(store, method, self._prefix + name, _LINK)

    def _touched(self, name: str) -> float | None:
        import obstore

        try:
            with self._bucket.reading() as store:
                return obstore.head(store, self._prefix + name)["last_modified"].timestamp()
        except FileNotFoundError:
            return None
