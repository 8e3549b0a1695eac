"""The job behind a socket, from its submit until nothing is left of it: nobody else knows of it."""

from __future__ import annotations

import asyncio
import base64
import logging
from typing import TYPE_CHECKING

from diffusionapi.api.stream.closing import NoEngine, NotDrawn, OutOfMemory, Stopping, TooSlow
from diffusionapi.core.events import Cancelled, Failed, Finished, Preview, Queued, Step
from diffusionapi.errors import Error, JobEnded, UnknownJob
from diffusionapi.logs import about

if TYPE_CHECKING:
    from diffusionapi.api.stream.view import View
    from diffusionapi.core.events import Event, Failure
    from diffusionapi.core.job import Ticket
    from diffusionapi.service import Service

log = logging.getLogger(__name__)

_CLAIMING = 1.0
"""Seconds in which an engine that is free has surely taken a job."""


class Drawing:
    def __init__(self, core: Service, ticket: Ticket) -> None:
        self._core = core
        self._ticket = ticket
        self._started = False
        self._finished = False
        self._over = False
        """It has ended, or was told to."""

    async def submit(self) -> None:
        """QueueFull."""
        # Said before anybody can have begun, so that the first step has a preview, too.
        if self._previews:
            await self._core.want_preview(self._ticket.id)
        try:
            await self._core.submit(self._ticket)
        except BaseException:
            await self._core.drop_preview(self._ticket.id)
            raise

    async def follow(self, view: View) -> None:
        """Show what happens, until the picture is there or it is clear that none will be."""
        try:
            await self._watch(view)
            view.complete(await self._collect())
        except Exception as error:  # noqa: BLE001 - the client is told of it, whatever it is
            view.fail(error)

    async def _watch(self, view: View) -> None:
        settings, job_id = self._core.settings, self._ticket.id
        try:
            async with asyncio.timeout(max(settings.stream_max_wait, _CLAIMING)) as limit:
                async for one in self._core.watch(job_id, previews=self._previews):
                    if isinstance(one, Preview):
                        view.show(one.content)
                        continue
                    if not (self._started or isinstance(one.event, Queued)):
                        self._started = True
                        limit.reschedule(asyncio.get_running_loop().time() + settings.stream_timeout)
                    self._take(one.event, view)
        except TimeoutError:
            if self._started:
                raise TooSlow(
                    f"The picture was not complete within {settings.stream_timeout:g} seconds"
                ) from None
            raise NoEngine from None
        if not self._finished:
            raise Stopping

    def _take(self, event: Event, view: View) -> None:
        match event:
            case Step(step=step):
                view.reach(step)
            case Finished():
                self._over = self._finished = True
            case Failed(failure=failure):
                self._over = True
                raise _error(failure)
            case Cancelled():
                self._over = True
                raise NotDrawn("The job was cancelled")

    async def _collect(self) -> str:
        """The picture in base64."""
        _, content = await self._core.load(self._ticket.id)
        picture = await asyncio.to_thread(base64.b64encode, content)
        return picture.decode()

    async def stop(self) -> None:
        """Have it end within a step, unless it has ended."""
        if self._over:
            return
        self._over = True
        try:
            await self._core.cancel(self._ticket.id)
        except (JobEnded, UnknownJob):
            return
        except Error as error:
            log.warning("not cancelled: %s", error.sentence, extra=about(self._ticket.id))

    async def forget(self) -> None:
        """Leave nothing behind once it has ended; if a stop of the server comes before, the sweep does."""
        core, job_id = self._core, self._ticket.id
        try:
            progress = await core.wait(job_id, core.settings.job_timeout)
            if progress.state.ended:
                if progress.picture is not None:
                    await asyncio.to_thread(core.blobs.remove, progress.picture.name)
                await core.forget(job_id)
                await core.drop_preview(job_id)  # of one that never ran, no worker does
        except UnknownJob:
            return
        except Error as error:
            log.warning("not forgotten: %s", error.sentence, extra=about(job_id))

    @property
    def _previews(self) -> bool:
        return self._core.settings.stream_preview_every > 0


def _error(failure: Failure) -> Error:
    kind = OutOfMemory if failure.code == OutOfMemory.code else NotDrawn
    return kind(failure.sentence)
