"""One try to hand over a message: its body, its signature, and what came of it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from diffusionapi.errors import StorageUnavailable, UnknownPicture
from diffusionapi.net.guarded import ERRORS, Guarded, Refused
from diffusionapi.webhooks import signing

if TYPE_CHECKING:
    from diffusionapi.blobs.store import Blobs
    from diffusionapi.net.guarded import Resolver
    from diffusionapi.webhooks.message import Message, Part

log = logging.getLogger(__name__)

_REFUSED = "this target may not be called, or there is no such host"
"""One sentence for all of it, or a client could learn from it what else our network holds."""
_NO_SUCH_HOST = {socket.EAI_NONAME, socket.EAI_NODATA}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`hopeless` when another try would end the same way; `reason` is for our own log."""

    seconds: float
    status: int | None = None
    error: str = ""
    hopeless: bool = False
    reason: str = ""

    @property
    def acknowledged(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Sender:
    def __init__(
        self, blobs: Blobs, *, timeout: float, allow_private: bool, resolve: Resolver | None
    ) -> None:
        self._blobs = blobs
        self._timeout = timeout
        self._guarded = Guarded(timeout=timeout, allow_private=allow_private, resolve=resolve)

    async def send(self, message_id: str, message: Message) -> Outcome:
        """POST it once. Whatever goes wrong is in the outcome."""
        began = time.monotonic()

        def failed(error: str, *, hopeless: bool = False, reason: str = "") -> Outcome:
            return Outcome(time.monotonic() - began, None, error, hopeless, reason or error)

        try:
            async with asyncio.timeout(self._timeout):
                status = await self._post(message_id, message)
        except TimeoutError:
            return failed(f"no answer within {self._timeout:g} s")
        except UnknownPicture:
            return failed("its picture is gone", hopeless=True)
        except StorageUnavailable as error:
            return failed("its picture cannot be read now", reason=error.sentence)
        except (Refused, httpx.InvalidURL) as error:
            return failed(_REFUSED, hopeless=True, reason=str(error))
        except socket.gaierror as error:
            if error.errno in _NO_SUCH_HOST:
                return failed(_REFUSED, hopeless=True, reason=str(error))
            return failed("its host cannot be looked up now", reason=str(error))
        except ERRORS as error:
            return failed(f"{type(error).__name__}: {error}")
        except Exception:
            log.exception("a message could not be sent")
            return failed("a defect of this server", hopeless=True)
        seconds = time.monotonic() - began
        error_text = "" if 200 <= status < 300 else f"status {status}"
        return Outcome(seconds, status, error_text, reason=error_text)

    async def _post(self, message_id: str, message: Message) -> int:
        body, kind = await asyncio.to_thread(self._written, message)
        headers = signing.headers(message_id, time.time(), body, message.signing_key)
        url = httpx.URL(message.url)
        async with self._guarded.asked("POST", url, headers | {"Content-Type": kind}, body) as answer:
            return answer.status_code  # its body is nothing to us

    def _written(self, message: Message) -> tuple[bytes, str]:
        if not message.parts:
            return json.dumps(message.body, separators=(",", ":")).encode(), "application/json"
        # Text goes first: many receivers want to know what a file is before they read it.
        parts = sorted(message.parts, key=lambda part: part.picture is not None)
        form = httpx.Request("POST", "http://form.invalid/", files=[self._field(part) for part in parts])
        return form.read(), form.headers["Content-Type"]

    def _field(self, part: Part) -> tuple[str, tuple[str | None, bytes, str | None]]:
        if part.picture is None:
            return part.name, (part.filename, (part.value or "").encode(), part.content_type)
        content = self._blobs.get(part.picture)
        return part.name, (part.filename or part.picture, content, part.content_type)
