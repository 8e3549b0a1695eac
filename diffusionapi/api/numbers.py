"""The jobs of a request that is several jobs: their ids follow from its number and a secret.

Who asks by the number finds the jobs, in any process and with no table; who has only the number cannot tell
their ids. That the store gives an id once makes the number unique, too.
"""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import TYPE_CHECKING

from diffusionapi.auth.secret import derived, secret_of
from diffusionapi.errors import UnknownJob

if TYPE_CHECKING:
    from diffusionapi.core.job import Progress
    from diffusionapi.jobs.store import JobStore
    from diffusionapi.records.open import Archive
    from diffusionapi.settings import Settings


class JobIds:
    """`purpose` keeps the numbers of one kind of request apart from all others. The key is derived when it is
    first needed, so a server that is asked nothing makes none."""

    def __init__(self, settings: Settings, purpose: str, archive: Archive | None = None) -> None:
        self._settings = settings
        self._purpose = purpose
        self._archive = archive

    def of(self, number: int | str, place: int = 0) -> str:
        """The id of a request's job at this place, from 0."""
        return str(uuid.uuid5(self._namespace, f"{number}/{place}"))

    @cached_property
    def _namespace(self) -> uuid.UUID:
        return uuid.UUID(bytes=derived(secret_of(self._settings, self._archive), self._purpose)[:16])


def progress_of(store: JobStore, job_id: str) -> Progress | None:
    """Also of a job that was forgotten a short while ago; None of one that nobody knows any more."""
    try:
        return store.progress(job_id)
    except UnknownJob:
        return store.epitaph(job_id)
