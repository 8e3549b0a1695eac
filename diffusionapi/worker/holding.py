"""Which model a worker has in its engine, and for how many jobs in a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.jobs.affinity import Preference

if TYPE_CHECKING:
    from diffusionapi.core.lane import Lane


class Holding:
    def __init__(self, worker: str, stay: int) -> None:
        self._worker = worker
        self._stay = stay
        self._model: str | None = None
        self._streak = 0

    def preference(self) -> Preference:
        return Preference(self._worker, self._model, self._streak, self._stay)

    def took(self, lane: Lane) -> bool:
        """Count a job of this lane; whether its model has to be loaded for it.

        An upscaler is small and pushes no model out, but it is another's turn.
        """
        if lane.kind == "upscaling":
            self._streak = 0
            return False
        loads = lane.model != self._model
        self._streak = 1 if loads else self._streak + 1
        self._model = lane.model
        return loads

    def nothing(self) -> None:
        """The engine is new."""
        self._model, self._streak = None, 0
