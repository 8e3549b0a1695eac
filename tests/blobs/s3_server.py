"""A bucket of an S3 API in this process: whole objects, ranges, listings. Every request has to be signed
(Signature Version 4, in a header or in the address), and is refused as S3 refuses it when it is not right.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_ID, SECRET, REGION, BUCKET = "AKIATEST", "s3cret/of+tests", "eu-central-1", "pictures"
_PIECE = 2**14


class S3Server:
    """`objects` are its objects by their keys: content, kind and time (epoch s)."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str, float]] = {}
        self.failing: tuple[int, str] | None = None
        """Status and code of an error with which everything is answered, or the next `fails` requests."""
        self.fails: int | None = None
        self.requests = 0
        self.answering = threading.Event()
        """While it is clear, connections are taken and nothing is said, as of a process that is stopped."""
        self.answering.set()
        self.pace = 0.0
        """Seconds that the line takes for each 16 KiB of an object, to and fro."""
        handler = type("Handler", (_Handler,), {"bucket": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that went away
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answering.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    bucket: S3Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        return

    def _answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        given = {"Content-Length": str(len(body)), **(headers or {})}
        self.send_response(status)
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            for start in range(0, len(body), _PIECE):
                time.sleep(self.bucket.pace)
                self.wfile.write(body[start : start + _PIECE])

    def _body(self) -> bytes:
        pieces = [b""]
        left = int(self.headers.get("Content-Length", 0))
        while left:
            time.sleep(self.bucket.pace)
            pieces.append(self.rfile.read(min(_PIECE, left)))
            left -= len(pieces[-1])
        return b"".join(pieces)

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode())

    def _handle(self) -> None:
        self.bucket.answering.wait()
        self.bucket.requests += 1
        body = self._body()
        if self.bucket.failing is not None and self.bucket.fails != 0:
            if self.bucket.fails is not None:
                self.bucket.fails -= 1
            self._refuse(*self.bucket.failing)
            return
        parts = urlsplit(self.path)
        if problem := refusal(self.command, parts.path, parts.query, dict(self.headers.items()), body):
            self._refuse(403, problem)
            return
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        if bucket != BUCKET:
            self._refuse(404, "NoSuchBucket")
        elif not key:
            self._list(dict(parse_qsl(parts.query)))
        elif self.command == "PUT":
            kind = self.headers.get("Content-Type", "")
            self.bucket.objects[key] = (body, kind, time.time())
            self._answer(200, headers={"ETag": _etag(body)})
        elif self.command == "DELETE":
            self.bucket.objects.pop(key, None)
            self._answer(204)
        else:
            self._give(key)

    do_GET = do_HEAD = do_PUT = do_DELETE = _handle  # noqa: N815 - the names of the base

    def _give(self, key: str) -> None:
        if (found := self.bucket.objects.get(key)) is None:
            self._refuse(404, "NoSuchKey")
            return
        content, kind, touched = found
        headers = {
            "Content-Type": kind,
            "ETag": _etag(content),
            "Last-Modified": format_datetime(datetime.fromtimestamp(touched, UTC), usegmt=True),
        }
        if self.command == "HEAD":
            self._answer(200, headers=headers | {"Content-Length": str(len(content))})
        elif asked := self.headers.get("Range"):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            part = content[int(first) : int(last) + 1]
            said = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
            self._answer(206, part, headers | {"Content-Range": said})
        else:
            self._answer(200, content, headers)

    def _list(self, query: dict[str, str]) -> None:
        """In pages of two, so that whoever lists has to turn them."""
        keys = sorted(key for key in self.bucket.objects if key.startswith(query.get("prefix", "")))
        rest = [key for key in keys if key > query.get("continuation-token", "")]
        lines = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size><ETag>{_etag(content)}</ETag>"
            f"<LastModified>{datetime.fromtimestamp(touched, UTC):%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            "</Contents>"
            for key in rest[:2]
            for content, _, touched in [self.bucket.objects[key]]
        )
        more = f"<NextContinuationToken>{escape(rest[1])}</NextContinuationToken>" if len(rest) > 2 else ""
        self._answer(200, f"<ListBucketResult>{lines}{more}</ListBucketResult>".encode())


def refusal(method: str, path: str, query: str, headers: dict[str, str], body: bytes = b"") -> str | None:
    """What S3 has against a request, as its code; None for one that is signed as it should be.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
    """
    asked = dict(parse_qsl(query, keep_blank_values=True))
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    if "X-Amz-Signature" in asked:
        given = asked.pop("X-Amz-Signature")
        credential, signed, when = (asked[f"X-Amz-{one}"] for one in ("Credential", "SignedHeaders", "Date"))
        payload = "UNSIGNED-PAYLOAD"
        began = datetime.strptime(when, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if time.time() > began.timestamp() + int(asked["X-Amz-Expires"]):
            return "AccessDenied"
    elif lower.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
        fields = lower["authorization"].partition(" ")[2].split(",")
        named = dict(one.strip().split("=", 1) for one in fields)
        credential, signed, given = named["Credential"], named["SignedHeaders"], named["Signature"]
        when, payload = lower["x-amz-date"], lower["x-amz-content-sha256"]
        if payload != hashlib.sha256(body).hexdigest():
            return "XAmzContentSHA256Mismatch"
    else:
        return "AccessDenied"
    key_id, *scope = credential.split("/")
    if key_id != KEY_ID or scope[1:] != [REGION, "s3", "aws4_request"]:
        return "InvalidAccessKeyId"
    pairs = "&".join(f"{quote(name, safe='')}={quote(asked[name], safe='')}" for name in sorted(asked))
    lines = "".join(f"{name}:{lower[name]}\n" for name in signed.split(";"))
    canonical = "\n".join([method, path, pairs, lines, signed, payload])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", when, "/".join(scope), digest])
    key = ("AWS4" + SECRET).encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    right = hmac.digest(key, text.encode(), "sha256").hex()
    return None if hmac.compare_digest(right, given) else "SignatureDoesNotMatch"


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
