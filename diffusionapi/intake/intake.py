"""Takes in pictures that clients give, in whatever form, and keeps each as an upload of ours."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from diffusionapi.errors import BadPicture, NotFetched, PictureGone, UnknownPicture
from diffusionapi.intake import given as forms
from diffusionapi.intake.fetch import Fetcher
from diffusionapi.intake.header import NoPicture, header_of
from diffusionapi.net.guarded import Refused
from diffusionapi.net.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusionapi.blobs.store import Blobs
    from diffusionapi.blobs.uploads import Uploads
    from diffusionapi.intake.pictures import Kind
    from diffusionapi.net.guarded import Resolver
    from diffusionapi.settings import Settings

    Own = Callable[[str], bytes | None]

log = logging.getLogger(__name__)

T = TypeVar("T")

_DECODERS = 2
"""Pictures decoded at once: each takes up to 16 bytes a pixel for a moment."""
_LONGEST_URL = 8192


class Intake:
    """`own` are the ways to pictures of ours: functions that are asked in turn with the path of a URL of this
    server, until one answers.

    Each is called in a thread with a path such as `/images/a.png` or `/blob/<token>`, its percent signs
    undone, without address, root path and query. It answers the bytes of that picture, or None when such
    paths are not its own, or raises UnknownPicture when they are but there is none. `/images/` is known from
    the start; a dialect with paths of its own adds them: `service.intake.own.append(opener)`.
    """

    def __init__(
        self, settings: Settings, uploads: Uploads, blobs: Blobs, *, resolve: Resolver | None = None
    ) -> None:
        self.own: list[Own] = [lambda path: _finished(blobs, path)]
        self.uploads = uploads
        self._base_url = settings.base_url
        self._most_bytes = settings.max_upload_mb * 2**20
        self._most_pixels = settings.max_upload_pixels
        self._fetcher = Fetcher(
            most_bytes=self._most_bytes,
            timeout=settings.fetch_timeout,
            allow_private=settings.allow_private_urls,
            resolve=resolve,
        )
        # Threads of our own: a request that goes away gives back its turn, but its thread works on.
        self._decoders = ThreadPoolExecutor(_DECODERS, thread_name_prefix="intake")

    async def picture(
        self, given: str | bytes, field: str, *, here: str = "", square: int | None = None
    ) -> str:
        """Take in a picture; its name among the uploads. BadPicture, with `field` for its subject.

        `given` is a file's bytes, base64, a data URL, an http or https URL, or the URL of a picture of ours.
        `here` is the address by which the client reached this server (`str(request.base_url)`): URLs that
        begin with it are ours, as are those that begin with BASE_URL, and bare paths. With `square` its
        largest square is kept, with so many pixels a side.
        """
        return await self._take(given, partial(self._keep, "RGB", field, square=square), field, here)

    async def mask(self, given: str | bytes, field: str, *, here: str = "") -> str:
        """The same for a mask: what is kept has one channel, and is white where it was transparent."""
        return await self._take(given, partial(self._keep, "L", field), field, here)

    async def file(self, given: str | bytes, field: str, *, here: str = "") -> bytes:
        """The file of a picture as it is, for what it says beside the picture; nothing is kept."""
        return await self._take(given, partial(_as_it_is, field), field, here)

    def stop(self) -> None:
        """Give up every URL, so that no request holds up the end of the server."""
        self._fetcher.stop()

    def close(self) -> None:
        """Let go of the threads, when no request is left."""
        self._decoders.shutdown(wait=False, cancel_futures=True)

    async def _take(self, given: str | bytes, use: Callable[[bytes], T], field: str, here: str) -> T:
        if isinstance(given, str):
            given = given.strip()
            path = _path_of_ours(given, (self._base_url, here)) if len(given) <= _LONGEST_URL else None
            if path is not None and (content := await self._opened(path, field)) is not None:
                return await self._in_thread(partial(use, content))  # of ours, however large
            if forms.is_url(given):
                return await self._fetch(given, use, field)
        return await self._used(given, use, field)

    async def _used(self, given: str | bytes, use: Callable[[bytes], T], field: str) -> T:
        def used() -> T:
            if isinstance(given, str):
                return use(forms.file_in(given, field, self._most_bytes))
            return use(forms.within(given, field, self._most_bytes))

        return await self._in_thread(used)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._decoders, work)

    def _keep(self, kind: Kind, field: str, content: bytes, *, square: int | None = None) -> str:
        from diffusionapi.intake.pictures import remade

        return self.uploads.put(remade(content, kind, field, self._most_pixels, square))

    async def _opened(self, path: str, field: str) -> bytes | None:
        def ask() -> bytes | None:
            return next((content for one in self.own if (content := one(path)) is not None), None)

        try:
            return await asyncio.to_thread(ask)
        except UnknownPicture as gone:
            raise PictureGone(field, "there is no such picture here, or no longer") from gone

    async def _fetch(self, url: str, use: Callable[[bytes], T], field: str) -> T:
        try:
            if len(url) > _LONGEST_URL:
                raise Refused(f"it has {len(url)} characters")
            return await self._used(await self._fetcher.fetch(url), use, field)
        except (Refused, BadPicture) as problem:
            log.info("no picture from %s: %s", shown(url), problem)
        raise NotFetched(
            field,
            "no picture could be had from this URL; it has to lead to a PNG, JPEG or WebP of at most "
            f"{self._most_bytes // 2**20} MiB and {self._most_pixels} pixels on a public web server",
        )


def _as_it_is(field: str, content: bytes) -> bytes:
    try:
        header_of(content)
    except NoPicture as problem:
        raise BadPicture(field, str(problem)) from problem
    return content


def _finished(blobs: Blobs, path: str) -> bytes | None:
    folder, _, name = path.rpartition("/")
    return blobs.get(name) if folder == "/images" else None


def _path_of_ours(given: str, bases: tuple[str, ...]) -> str | None:
    """The path on this server that a URL means, None when it means no place of ours."""
    try:
        there = urlsplit(given)
        if not there.netloc:
            return unquote(there.path) if given.startswith("/") and not there.scheme else None
        for base in map(urlsplit, filter(None, bases)):
            root = base.path.rstrip("/")
            if _host(there.netloc) == _host(base.netloc) and there.path.startswith(root + "/"):
                return unquote(there.path[len(root) :])
    except ValueError:  # no URL at all
        pass
    return None


def _host(netloc: str) -> str:
    """To compare by: whoever ends TLS before us makes https of http, so the usual ports are all one."""
    return netloc.lower().removesuffix(":80").removesuffix(":443")
