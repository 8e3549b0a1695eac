"""Writes that deliver a picture, and what becomes of it when the storage refuses them: a worker tries again,
and has a copy on its own disk for the case that it ends before."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from diffusionapi.errors import HoldLost, StorageUnavailable
from diffusionapi.logs import about
from diffusionapi.worker.insisting import Abandoned

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusionapi.blobs.spool import Spool
    from diffusionapi.core.events import Picture

log = logging.getLogger(__name__)


class Sparing:
    """For one picture. A copy is made at the first refusal, so none is where nothing is refused."""

    def __init__(self, spool: Spool, job_id: str, picture: Picture, content: bytes) -> None:
        self._spool = spool
        self._job_id = job_id
        self._picture = picture
        self._content = content
        self._tried = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind in (HoldLost, Abandoned):
            self.over()

    def __call__(self, write: Callable[[], object]) -> Callable[[], None]:
        def spared() -> None:
            try:
                write()
            except StorageUnavailable:
                if not self._tried:
                    self._tried = True
                    self._keep()
                raise

        return spared

    def over(self) -> None:
        """The picture is where it belongs, or its job is another's, or is over without it."""
        if self._tried:
            try:
                self._spool.drop(self._job_id)
            except StorageUnavailable as error:
                log.warning("its copy stays for now: %s", error.sentence, extra=about(self._job_id))

    def _keep(self) -> None:
        try:
            self._spool.keep(self._job_id, self._picture, self._content)
        except StorageUnavailable as error:
            log.warning("no copy was made: %s", error.sentence, extra=about(self._job_id))
        else:
            log.info(
                "its picture is kept on this machine until it can be delivered", extra=about(self._job_id)
            )
