"""A small Hugging Face hub on the loopback address, serving folders as repositories."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"


class Hub:
    """`repositories` maps org/name to a folder; the files of `gated` ones want the token."""

    def __init__(self, repositories: dict[str, Path]) -> None:
        self.repositories = repositories
        self.gated: set[str] = set()
        self.token = "hf_of_a_test"  # noqa: S105 - nobody's
        self.cut: dict[str, int] = {}
        """File -> bytes after which its connection breaks; then it is gone until `cut` is cleared."""
        self.garbled: set[str] = set()
        """Files that come with other content than is listed."""
        self.served: list[tuple[str, str | None]] = []
        """Files that were sent, and the range that was asked for."""
        hub = self

        class Handler(_Handler):
            @property
            def hub(self) -> Hub:
                return hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        raise NotImplementedError

    def log_message(self, *_: object) -> None:
        """Tests read `served` instead."""

    def do_HEAD(self) -> None:
        self._file(send=False)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/api/models/"):
            self._api(path.removeprefix("/api/models/"))
        else:
            self._file(send=True)

    def _api(self, path: str) -> None:
        name = "/".join(path.split("/")[:2])
        folder = self._folder(name)
        if folder is None:
            return
        files = sorted(one for one in folder.rglob("*") if one.is_file())
        siblings = [_listed(folder, one) for one in files]
        self._json({"id": name, "sha": COMMIT, "siblings": siblings, "tags": []})

    def _folder(self, name: str) -> Path | None:
        folder = self.hub.repositories.get(name)
        if folder is None:
            self._refuse(401, "RepoNotFound", "Repository Not Found")
        return folder

    def _file(self, *, send: bool) -> None:
        owner, name, _, _, inner = unquote(urlsplit(self.path).path).lstrip("/").split("/", 4)
        folder = self._folder(f"{owner}/{name}")
        if folder is None:
            return
        if (
            f"{owner}/{name}" in self.hub.gated
            and self.headers.get("authorization") != f"Bearer {self.hub.token}"
        ):
            self._refuse(403, "GatedRepo", "Access to this model is restricted")
            return
        if self.hub.cut.get(inner) == 0:
            self._refuse(410, "Gone", "broken off")
            return
        file = folder / inner
        content, start = file.read_bytes(), 0
        if inner in self.hub.garbled:
            content = content[::-1]
        asked = self.headers.get("range")
        if asked:
            start = int(asked.removeprefix("bytes=").split("-")[0])
        self.send_response(206 if asked else 200)
        self.send_header("ETag", f'"{_etag(file)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content) - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if not send:
            return
        self.hub.served.append((inner, asked))
        end = self.hub.cut.get(inner, len(content))
        if inner in self.hub.cut:
            self.hub.cut[inner] = 0
        self.wfile.write(content[start:end])
        self.close_connection = end < len(content)

    def _json(self, answer: object) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, status: int, code: str, message: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _listed(folder: Path, file: Path) -> dict[str, Any]:
    """As the hub lists a file: weights by the sha256 of their content, small files by git's sha1."""
    content = file.read_bytes()
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()
    listed: dict[str, Any] = {
        "rfilename": str(file.relative_to(folder)),
        "size": len(content),
        "blobId": blob,
    }
    if file.suffix == ".safetensors":
        sha256 = hashlib.sha256(content).hexdigest()
        listed |= {
            "blobId": "of the pointer",
            "lfs": {"sha256": sha256, "size": len(content), "pointerSize": 130},
        }
    return listed


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()
