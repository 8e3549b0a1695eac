"""What a client's server is told of its requests: stages, and the pictures themselves.

The first picture's job tells that the request is acknowledged and started, each job of its own picture, the
last one's of the end. Where the server is called was written down with the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffusionapi.api.backlog.cycles import ENGINE, PICTURES, cost
from diffusionapi.api.numbers import progress_of
from diffusionapi.core.job import JobState
from diffusionapi.webhooks.message import Message, Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.auth.clients import Clients
    from diffusionapi.core.job import Progress, Ticket
    from diffusionapi.jobs.store import JobStore

_UPLOAD = "upload"
_NO_FILE = "default"
ERROR, ACKNOWLEDGED, STARTED, INIT_IMAGE, IMAGE, STOPPED = -1, 1, 2, 3, 4, 5
_NUMBERS = {ACKNOWLEDGED: 1, STARTED: 2, INIT_IMAGE: 3, IMAGE: 4, ERROR: 6, STOPPED: 7}
_UPLOAD_NUMBER = 5


@dataclass(frozen=True, slots=True)
class _Stage:
    stage: int
    descr: str
    filename: str = _NO_FILE
    cost: int = 0
    """Milliseconds."""
    qty: int = 0
    """Pictures."""


class BacklogOutgoing:
    def __init__(self, clients: Clients, store: JobStore) -> None:
        self._clients = clients
        self._store = store

    def messages(self, ticket: Ticket, progress: Progress) -> list[Message]:
        payload = ticket.payload
        if not payload["domain"]:
            return []
        notify, upload = payload["uri_notify"], payload["uri_upload"]
        key = self._clients.signing_key(payload["client"]) if notify or upload else b""
        due: list[Message] = []
        for one in self._stages(ticket, progress):
            if notify:
                due.append(_notification(ticket, one, key))
            if upload and one.stage == IMAGE:
                due.append(_picture(ticket, progress, key))
        return due

    def delivered(self, ticket: Ticket, message: Message) -> None:
        if message.what != _UPLOAD:
            self._clients.validated(ticket.payload["client"])

    def _stages(self, ticket: Ticket, progress: Progress) -> Iterator[_Stage]:
        payload = ticket.payload
        cycle, jobs = payload["cycle"], payload["jobs"]
        if cycle == 0:
            yield _Stage(ACKNOWLEDGED, "Acknowledged request")
            if progress.started_at is not None:
                yield _Stage(STARTED, "AI started")
                if ticket.generation.source is not None:
                    yield _Stage(INIT_IMAGE, "copied input image to destination image")
        if not progress.state.ended:
            return
        name = payload["files"][cycle]
        if progress.state is JobState.DONE:
            yield _Stage(IMAGE, f"destination image = {name}", f"{payload['base']}{PICTURES}{name}", qty=1)
        elif progress.failure is not None:
            yield _Stage(ERROR, progress.failure.sentence)
        if cycle == len(jobs) - 1:
            yield self._end(jobs, progress)

    def _end(self, jobs: list[str], last: Progress) -> _Stage:
        """Of those pictures that have ended: with several workers, one may still be in the making."""
        cycles = [*(progress_of(self._store, one) for one in jobs[:-1]), last]
        made = sum(one is not None and one.state is JobState.DONE for one in cycles)
        failed = any(one is not None and one.failure is not None for one in cycles)
        descr = "AI stopped with error" if failed else "AI stopped"
        return _Stage(STOPPED, descr, cost=round(1000 * cost(cycles)), qty=made)


def _notification(ticket: Ticket, one: _Stage, key: bytes) -> Message:
    payload = ticket.payload
    body: dict[str, Any] = {
        "uid": payload["uid"],
        "stage": one.stage,
        "token": payload["client"],
        "cycle": payload["cycle"],
        "engine": ENGINE,
        "username": payload["params"]["username"],
        "filename": one.filename,
        "descr": one.descr,
        "cost": one.cost,
        "qty": one.qty,
    }
    url = _url(payload["domain"], payload["uri_notify"])
    return Message(_NUMBERS[one.stage], f"stage {one.stage}", url, body=body, signing_key=key)


def _picture(ticket: Ticket, progress: Progress, key: bytes) -> Message:
    payload = ticket.payload
    assert progress.picture is not None
    name = payload["files"][payload["cycle"]]
    fields = {
        "uid": payload["uid"],
        "token": payload["client"],
        "cycle": payload["cycle"],
        "engine": ENGINE,
        "username": payload["params"]["username"],
        "filename": name,
    }
    parts = [Part(field, str(value)) for field, value in fields.items()]
    parts.append(Part("image", picture=progress.picture.name, filename=name, content_type="image/png"))
    url = _url(payload["domain"], payload["uri_upload"])
    return Message(_UPLOAD_NUMBER, _UPLOAD, url, parts=tuple(parts), signing_key=key)


def _url(domain: str, uri: str) -> str:
    """A domain may come without a scheme, and there is one slash between the two."""
    base = domain if "://" in domain else f"http://{domain}"
    return f"{base.rstrip('/')}/{uri.lstrip('/')}"
