"""What this process makes of what others say of jobs (messages.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.errors import StorageUnavailable
from diffusionapi.jobs import codec
from diffusionapi.jobs.redis.names import job

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusionapi.jobs.pulse import Pulse
    from diffusionapi.jobs.redis.claiming import Claimer
    from diffusionapi.jobs.redis.connect import Connection
    from diffusionapi.jobs.redis.holds import Keeper
    from diffusionapi.jobs.redis.messages import Message
    from diffusionapi.jobs.redis.mirror import Mirror
    from diffusionapi.jobs.redis.previews import RedisPreviews


class Hearing:
    def __init__(
        self,
        connection: Connection,
        pulse: Pulse,
        mirror: Mirror,
        keeper: Keeper,
        claimer: Claimer,
        previews: RedisPreviews,
    ) -> None:
        self._connection = connection
        self._pulse = pulse
        self._mirror = mirror
        self._keeper = keeper
        self._claimer = claimer
        self._reactions: dict[str, Callable[[Message], None]] = {
            "new": self._new,
            "taken": lambda _: keeper.stir(),
            "moved": self._moved,
            "cancel": self._cancel,
            "gone": lambda message: self.gone(message.job_id),
            "want": lambda message: previews.hear_want(*message.names),
            "shown": lambda message: previews.hear_shown(*message.names),
        }

    def hear(self, message: Message) -> None:
        """A word that we do not know is of a newer version, and not for us."""
        if reaction := self._reactions.get(message.word):
            reaction(message)

    def gone(self, job_id: str) -> None:
        self._mirror.drop(job_id)
        if hold := self._keeper.of(job_id):
            self._keeper.lose(hold)

    def _new(self, message: Message) -> None:
        self._keeper.stir()
        if not message.names or any(map(self._claimer.serves, message.names)):
            self._pulse.wake()

    def _cancel(self, message: Message) -> None:
        if hold := self._keeper.of(message.job_id):
            hold.cancelled = True

    def _moved(self, message: Message) -> None:
        job_id, number = message.names
        if not self._mirror.wants(job_id, int(number)):
            return
        try:
            content = self._connection.call("HGET", job(job_id), "progress")
        except StorageUnavailable:
            content = None
        progress = codec.read_progress(content) if content else None
        if progress is None:
            self._mirror.drop(job_id)
        else:
            self._mirror.update(job_id, progress)
