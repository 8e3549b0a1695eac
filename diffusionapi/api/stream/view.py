"""What a client is to see of its picture: how far it is, the latest preview, and at last the picture itself.

The one who follows the job writes it, the one who sends frames reads it. It holds the newest of everything,
so that a client that takes long to read costs no memory and holds up nobody.
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress

_FIRST_PREVIEW = 0.5
"""Seconds that the first frame waits for a preview; they are made beside the steps."""


class View:
    """`every`: how many steps lie between frames that have a preview; 0: none has."""

    def __init__(self, steps: int, every: int) -> None:
        self.steps = steps
        self.reached = 0
        self.picture: str | None = None
        self.error: Exception | None = None
        self._every = every
        self._preview = ""
        self._shown = 0
        self._news = asyncio.Event()
        self._visible = asyncio.Event()

    @property
    def ended(self) -> bool:
        return self.picture is not None or self.error is not None

    def reach(self, step: int) -> None:
        """A job that runs again after a crash begins at its first step; what was reached stays."""
        self.reached = max(self.reached, min(step, self.steps))
        self._news.set()

    def show(self, jpeg: bytes) -> None:
        self._preview = base64.b64encode(jpeg).decode()
        self._visible.set()

    def complete(self, picture: str) -> None:
        self.reached, self.picture = self.steps, picture
        self._end()

    def fail(self, error: Exception) -> None:
        self.error = error
        self._end()

    def _end(self) -> None:
        self._news.set()
        self._visible.set()

    async def news(self) -> None:
        """Until something has changed since the last time."""
        await self._news.wait()
        self._news.clear()

    async def first_preview(self) -> None:
        """Until there is one, or it is clear that none will come soon."""
        if self._every:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._visible.wait(), _FIRST_PREVIEW)

    def image(self, step: int) -> str:
        """For the frame of a step, which is not the last one."""
        if not self._every or step // self._every == self._shown // self._every:
            return ""
        self._shown = step
        return self._preview
