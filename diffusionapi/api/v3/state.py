"""What the v3 dialect keeps between requests; `main` puts it together once."""

from __future__ import annotations

import re
import secrets
import uuid
from typing import TYPE_CHECKING

from diffusionapi.api.numbers import JobIds
from diffusionapi.api.v3.pace import Pace
from diffusionapi.api.v3.repeats import Repeats
from diffusionapi.api.v3.training_records import TrainingRecords
from diffusionapi.blobs.uploads import Uploads
from diffusionapi.core.job import JobState
from diffusionapi.errors import DamagedJob, UnknownJob, UnknownPicture

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from diffusionapi.auth.keys import Keys
    from diffusionapi.blobs.named import Kept
    from diffusionapi.core.events import Picture
    from diffusionapi.core.job import Ticket
    from diffusionapi.records.open import Archive
    from diffusionapi.service import Service

DIALECT = "v3"
PICTURES = "/generations/"
"""Where pictures are, by their public names."""
NUMBERS = 2**31
"""Ids of requests are whole numbers below this: many a client keeps them in 32 bits."""
_NUMBER_DIGITS = 8
_PICTURE = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(\d{1,2})\.png")


class V3State:
    """`ids` are of requests by their numbers, `training_ids` of trainings by theirs, which are words."""

    def __init__(self, service: Service, keys: Keys, archive: Archive) -> None:
        self.keys = keys
        self.repeats = Repeats(service.settings.v3_repeats)
        self.pace = Pace()
        self.ids = JobIds(service.settings, "v3 requests", archive)
        self.training_ids = JobIds(service.settings, "v3 trainings", archive)
        self.trainings = TrainingRecords(service.settings, archive)
        self._service = service
        service.intake.own.append(self.own)

    def close(self) -> None:
        self.trainings.close()

    def base(self, connection: HTTPConnection) -> str:
        """How this client reaches us, if the operator has not said how all do."""
        return self._service.settings.base_url or str(connection.base_url).rstrip("/")

    def picture(self, name: str) -> Kept:
        """The picture that a picture's public name stands for; UnknownPicture."""
        if Uploads.names.fullmatch(name):
            return self._service.intake.uploads.kept(name)
        _, made = self.made(name)
        return self._service.blobs.kept(made.name)

    def made(self, name: str) -> tuple[Ticket, Picture]:
        """What was asked for and made under a picture's public name; UnknownPicture."""
        if (found := _PICTURE.fullmatch(name)) is None:
            raise UnknownPicture(name)
        prefix, place = found[1], int(found[2])
        job_id, store = self.ids.of(_number_in(prefix), place), self._service.store
        try:
            ours = self._service.of_dialect(job_id, DIALECT)
            ticket, progress = store.ticket(job_id), store.progress(job_id)
        except (UnknownJob, DamagedJob):
            raise UnknownPicture(name) from None
        if not ours or ticket.payload["file_prefix"] != prefix:
            raise UnknownPicture(name)
        if progress.state is not JobState.DONE or progress.picture is None:
            raise UnknownPicture(name)
        return ticket, progress.picture

    def own(self, path: str) -> bytes | None:
        """What a URL of ours leads to, for a request that begins with one; None for other paths."""
        return self.picture(path.removeprefix(PICTURES)).read() if path.startswith(PICTURES) else None


def new_number() -> int:
    return secrets.randbelow(NUMBERS - 1) + 1


def new_prefix(number: int) -> str:
    """What the names of a request's pictures begin with: nobody guesses it, and it holds the number."""
    digits = 32 - _NUMBER_DIGITS
    return str(uuid.UUID(hex=secrets.token_hex(digits // 2) + f"{number:0{_NUMBER_DIGITS}x}"))


def _number_in(prefix: str) -> int:
    return int(prefix[-_NUMBER_DIGITS:], 16)


def picture_url(base: str, prefix: str, place: int) -> str:
    return f"{base}{PICTURES}{prefix}-{place}.png"
