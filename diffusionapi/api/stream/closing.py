"""How a socket is closed: the codes of the dialect's table, each with its cause and a reason in JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass

from diffusionapi.api.dialect import as_error
from diffusionapi.errors import (
    BadJson,
    BadRequest,
    Error,
    NotAuthenticated,
    QueueFull,
    StorageUnavailable,
    TooManyRequests,
)

_REASON_BYTES = 123
"""RFC 6455, 5.5: a control frame holds 125 bytes, and two of them are the code."""


class NoEngine(Error):
    code = "no_engine"
    status = 503

    def __init__(self) -> None:
        super().__init__("All engines are in use; try again later")


class OutOfMemory(Error):
    code = "out_of_memory"
    status = 503


class NotDrawn(Error):
    """The job ended without a picture; the worker's log says more."""

    code = "not_drawn"


class Stopping(Error):
    code = "stopping"
    status = 503

    def __init__(self) -> None:
        super().__init__("The server is stopping; try again later")


class TooSlow(Error):
    code = "too_slow"
    status = 408


class NoSuchPath(Error):
    code = "no_such_path"
    status = 404

    def __init__(self) -> None:
        super().__init__("There is no socket at this path; connect to /generate")


@dataclass(frozen=True, slots=True)
class Closing:
    """A close code, the API's own code for it, and a sentence."""

    code: int
    api_code: int
    sentence: str

    @property
    def notice(self) -> str:
        """The whole of it in JSON."""
        return notice(self.api_code, self.sentence)

    @property
    def reason(self) -> str:
        """The same, cut to what a close frame may hold."""
        text, length = self.notice, len(self.sentence)
        while len(text.encode()) > _REASON_BYTES:
            length -= 1
            text = notice(self.api_code, self.sentence[:length].rstrip() + "…")
        return text


def notice(code: int, message: str) -> str:
    return json.dumps({"code": code, "message": message}, ensure_ascii=False, separators=(",", ":"))


DONE = Closing(1000, 200, "The picture is complete")

_CODES: dict[type[Error], tuple[int, int]] = {
    BadRequest: (1003, 400),
    BadJson: (1003, 400),
    NotAuthenticated: (3000, 403),
    NoSuchPath: (3003, 404),
    NoEngine: (1013, 503),
    OutOfMemory: (1013, 503),
    QueueFull: (1013, 503),
    StorageUnavailable: (1013, 503),
    Stopping: (1013, 503),
    TooManyRequests: (1013, 503),
    TooSlow: (3008, 408),
    NotDrawn: (1011, 1011),
}
_OTHER = (1011, 1011)


def after(error: Exception) -> Closing:
    """How a socket is closed when this went wrong; whatever the table does not name is our own failure."""
    for kind, codes in _CODES.items():
        if isinstance(error, kind):
            return Closing(*codes, error.sentence)
    return Closing(*_OTHER, as_error(error).sentence)
