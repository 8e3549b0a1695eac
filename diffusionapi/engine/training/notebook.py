"""What a training knows so far, in a folder of its own, so that it goes on after a stop at any instant."""

from __future__ import annotations

import io
import json
import pickle
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from diffusionapi import files
from diffusionapi.errors import BadRequest, Error

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from diffusionapi.core.work import TrainingRequest

_SECONDS = 30.0
_STEPS = 100
"""What a stop may cost, whichever is less."""


class Damaged(Error):
    code = "damaged_training"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"What the training has kept in {path.parent.name}/{path.name} is damaged; start it anew"
        )


class Notebook:
    def __init__(self, folder: Path, request: TrainingRequest) -> None:
        files.make_folder(folder)
        self._folder = folder
        self._steps = 0
        self._written = time.monotonic()
        asked = json.loads(json.dumps(asdict(request)))
        page = folder / "training.json"
        files.create(page, json.dumps({"request": asked, "begun_at": time.time()}).encode())
        said = json.loads(files.read(page) or b"{}")
        if said.get("request") != asked:
            raise BadRequest(
                "name", f"there is another unfinished training {request.name!r}; give this one another name"
            )
        self.begun_at: float = said["begun_at"]
        """Epoch s; of the first attempt."""

    def state(self) -> dict[str, Any] | None:
        """What was kept last; None before anything was."""
        kept: dict[str, Any] | None = self._get("state.pt")
        self._steps = kept["steps"] if kept else 0
        return kept

    def due(self, steps: int) -> bool:
        """Whether so much has been learnt since that it is to be kept."""
        return steps - self._steps >= _STEPS or time.monotonic() - self._written >= _SECONDS

    def keep(self, steps: int, state: dict[str, Any]) -> None:
        """Whole or not at all, so that weights and what goes with them are always of one step."""
        self._put("state.pt", {"steps": steps, **state})
        self._steps, self._written = steps, time.monotonic()

    def class_picture(self, number: int) -> Tensor | None:
        latents: Tensor | None = self._get(f"class-{number:04}.pt")
        return latents

    def keep_class_picture(self, number: int, latents: Tensor) -> None:
        self._put(f"class-{number:04}.pt", latents)

    def _put(self, name: str, content: object) -> None:
        buffer = io.BytesIO()
        torch.save(content, buffer)
        files.write(self._folder / name, buffer.getvalue(), durable=True)

    def _get(self, name: str) -> Any:
        content = files.read(self._folder / name)
        if content is None:
            return None
        try:
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise Damaged(self._folder / name) from error
