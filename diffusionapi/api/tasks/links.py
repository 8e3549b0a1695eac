"""The URLs of pictures: whoever has one may see the picture, and nobody can guess or make one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.errors import UnknownPicture

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from diffusionapi.auth.tokens import Tokens
    from diffusionapi.blobs.store import Blobs
    from diffusionapi.blobs.uploads import Uploads

_PATH = "/blob/"


class Links:
    """A blob is a finished picture or an upload; both are named by a UUID."""

    def __init__(self, base_url: str, tokens: Tokens, blobs: Blobs, uploads: Uploads) -> None:
        self._base_url = base_url
        self._tokens = tokens
        self._blobs = blobs
        self._uploads = uploads

    def base(self, connection: HTTPConnection) -> str:
        """How this client reaches us, if the operator has not said how all do."""
        if self._base_url:
            return self._base_url
        base = str(connection.base_url).rstrip("/")
        return base.replace("ws", "http", 1) if base.startswith("ws") else base

    def url(self, base: str, name: str) -> str:
        """Of a picture by its file's name. The same picture always has the same."""
        return base + _PATH + self._tokens.signed({"blob_id": name.removesuffix(".png")})

    def read(self, token: str) -> bytes:
        """The file that a URL's last part stands for; UnknownPicture."""
        claims = self._tokens.read(token, required=("blob_id",))
        if claims is None:
            raise UnknownPicture("")
        name = f"{claims['blob_id']}.png"
        try:
            return self._uploads.get(name)
        except UnknownPicture:
            return self._blobs.get(name)

    def own(self, path: str) -> bytes | None:
        """What a URL of ours leads to, for parameters that name one; None for other paths."""
        return self.read(path.removeprefix(_PATH)) if path.startswith(_PATH) else None
