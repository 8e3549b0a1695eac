"""The jobs that workers of this process hold, and the thread that keeps them: it says every second that they
live, writes their progress, and finds holders on other machines that do not live any more.

It is no worker's thread, so a worker that is busy with an engine or a disk loses nothing. When nothing is
waiting or running anywhere it says nothing, until somebody is heard.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from diffusionapi.errors import HoldLost, StorageUnavailable
from diffusionapi.jobs import codec
from diffusionapi.jobs.redis import scripts

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusionapi.core.job import Progress
    from diffusionapi.jobs.redis.connect import Connection

log = logging.getLogger(__name__)

BEAT = 1.0
"""Seconds between two words that we live; after HOLD_SECONDS without one we are taken for dead."""
PROGRESS = 0.5
"""Seconds between two writes of one job's progress."""
_RETRY = 0.25
_LOST, _CANCELLED = 0, 2


@dataclass(eq=False, slots=True)
class Hold:
    job_id: str
    token: int
    progress: Progress
    """The newest; what of it is not written yet will be soon."""
    cancelled: bool = False
    lost: bool = False
    written: int = 0
    """The number of the last event that Redis knows of."""
    written_at: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Had by who writes, so that nothing older comes after."""


class Keeper(threading.Thread):
    """`ready` is called when there is something to claim."""

    def __init__(self, connection: Connection, process: str, ready: Callable[[], None]) -> None:
        super().__init__(name="redis-keeper", daemon=True)
        self._connection = connection
        self._process = process
        self._ready = ready
        self._holds: dict[str, Hold] = {}
        self._changed = threading.Condition()
        self._stirs = 0
        self._quiet = False
        """Nothing waits or runs anywhere, as far as we know."""
        self._closed = False
        self._next_beat = 0.0

    # --- what the store asks ----------------------------------------------------------------------------

    def add(self, hold: Hold) -> None:
        with self._changed:
            self._holds[hold.job_id] = hold
            self._quiet = False
            self._changed.notify()

    def remove(self, hold: Hold) -> None:
        with self._changed:
            if self._holds.get(hold.job_id) is hold:
                del self._holds[hold.job_id]

    def of(self, job_id: str) -> Hold | None:
        return self._holds.get(job_id)

    def stir(self) -> None:
        """Somebody somewhere has a job."""
        with self._changed:
            self._stirs += 1
            if self._quiet:
                self._quiet = False
                self._changed.notify()

    def defer(self, hold: Hold, progress: Progress) -> None:
        """Write this soon; a newer one takes its place."""
        with self._changed:
            hold.progress = progress
            self._changed.notify()

    def write(self, hold: Hold, progress: Progress, letter: bytes = b"") -> None:
        """HoldLost when another has the job."""
        with hold.lock:
            self._write(hold, progress, letter)
        if progress.state.ended:
            self.remove(hold)

    def _write(self, hold: Hold, progress: Progress, letter: bytes = b"") -> None:
        content = codec.write_progress(progress)
        state, number = progress.state.value, progress.number
        if not self._connection.run(scripts.SAVE, hold.job_id, hold.token, content, state, number, letter):
            self.lose(hold)
            raise HoldLost(hold.job_id)
        hold.written, hold.written_at = number, time.monotonic()
        if number > hold.progress.number:  # there may be a newer one by now
            hold.progress = progress

    def lose(self, hold: Hold) -> None:
        hold.lost = True
        self.remove(hold)

    def stop(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    # --- the thread -------------------------------------------------------------------------------------

    def run(self) -> None:
        while self._rest():
            try:
                if time.monotonic() >= self._next_beat:
                    self._beat()
                self._flush()
            except StorageUnavailable:
                self._next_beat = time.monotonic() + _RETRY
                time.sleep(_RETRY)
            except Exception:
                # A defect of ours must not cost the jobs of all workers here.
                log.exception("the keeper of jobs failed; going on")
                time.sleep(_RETRY)

    def _rest(self) -> bool:
        """Sleep until there is something to do; False at the end."""
        with self._changed:
            while not self._closed:
                due = [one.written_at + PROGRESS for one in self._unwritten()]
                if self._holds or not self._quiet:
                    due.append(self._next_beat)
                left = min(due) - time.monotonic() if due else None
                if left is not None and left <= 0:
                    return True
                self._changed.wait(left)
            return False

    def _unwritten(self) -> list[Hold]:
        return [one for one in self._holds.values() if one.progress.number > one.written]

    def _flush(self) -> None:
        with self._changed:
            due = [one for one in self._unwritten() if time.monotonic() >= one.written_at + PROGRESS]
        for hold in due:
            try:
                self._write_late(hold)
            except HoldLost:
                log.warning("job %s was taken by another worker", hold.job_id)

    def _write_late(self, hold: Hold) -> None:
        with hold.lock:
            if hold.progress.number > hold.written and self.of(hold.job_id) is hold:
                self._write(hold, hold.progress)

    def _beat(self) -> None:
        with self._changed:
            holds, stirs = list(self._holds.values()), self._stirs
        pairs = [part for one in holds for part in (one.job_id, one.token)]
        held, ready, *states = self._connection.run(scripts.BEAT, self._process, *pairs)
        self._next_beat = time.monotonic() + BEAT
        for hold, state in zip(holds, states, strict=True):
            hold.cancelled |= state == _CANCELLED
            if state == _LOST and self.of(hold.job_id) is hold:
                self.lose(hold)
        with self._changed:
            self._quiet = held == 0 and ready == 0 and stirs == self._stirs
        if ready:
            self._ready()
