"""Makes previews in a thread of its own, so that drawing never waits for them; only the latest one counts."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from PIL import Image

from diffusionapi.engine.previews import colours, tiny
from diffusionapi.engine.previews.jpeg import preview_of
from diffusionapi.engine.previews.pace import INTERVAL, Pace

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from diffusionapi.core.events import Preview
    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.engine.previews.glimpse import Glimpse
    from diffusionapi.engine.previews.tiny import TinyDecoders

log = logging.getLogger(__name__)

_SHARE = 0.02
"""Of a processor's time that previews of one generation may take, where networks need the processor, too."""


@dataclass(slots=True, eq=False)
class _Wish:
    """A generation of which previews are wanted: what waits to be made, and what is made."""

    pace: Pace
    glimpse: Glimpse | None = None
    made: Preview | None = None
    cost: float = 0.0
    """Seconds of a processor that the last one took."""


class Previewer:
    """All but the thread's own work is called by the thread that steps, and is done in microseconds."""

    def __init__(self, device: torch.device, decoders: TinyDecoders) -> None:
        self._on_cpu = device.type == "cpu"
        self._decoders = decoders
        self._wishes: dict[str, _Wish] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    def want(self, job_id: str) -> None:
        with self._changed:
            self._wishes.setdefault(job_id, _Wish(Pace()))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="previews", daemon=True)
            self._thread.start()

    def forget(self, job_id: str) -> None:
        with self._changed:
            self._wishes.pop(job_id, None)

    def offer(self, job_id: str, glimpse: Glimpse) -> bool:
        """Have a preview made of this, if one is wanted and due, in place of one that still waits."""
        wish = self._wishes.get(job_id)
        if wish is None or not glimpse.told.step:
            return False
        interval = max(INTERVAL, wish.cost / _SHARE) if self._on_cpu else INTERVAL
        if not wish.pace.due((glimpse.second, glimpse.told.step), interval=interval):
            return False
        with self._changed:
            wish.glimpse = glimpse
            self._changed.notify_all()
        return True

    def ready(self, job_id: str, *, patience: float = 0.0) -> Preview | None:
        """What was made of a generation since the last call; wait for it for as long as `patience` (s)."""
        if (wish := self._wishes.get(job_id)) is None:
            return None
        with self._changed:
            if patience:
                self._changed.wait_for(lambda: wish.made is not None, patience)
            made, wish.made = wish.made, None
            return made

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._wishes.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(5)

    # --- the thread -------------------------------------------------------------------------------------

    def _work(self) -> None:
        with torch.inference_mode():
            while (wish := self._next()) is not None:
                self._serve(wish)

    def _next(self) -> _Wish | None:
        with self._changed:
            while not self._closing:
                if wish := next((one for one in self._wishes.values() if one.glimpse), None):
                    return wish
                self._changed.wait()
        return None

    def _serve(self, wish: _Wish) -> None:
        with self._changed:
            glimpse, wish.glimpse = wish.glimpse, None
        if glimpse is None:
            return
        preview, began = None, time.thread_time()
        try:
            look = self._look(glimpse.model)
            began = time.thread_time()
            preview = _made(glimpse, look(glimpse.latents))
        except Exception:  # whatever it is, the picture goes on without a preview
            log.debug("no preview", exc_info=True)
        with self._changed:
            wish.cost = time.thread_time() - began
            wish.made = preview
            self._changed.notify_all()

    def _look(self, model: LoadedModel) -> Callable[[Tensor], Tensor]:
        """What makes bytes (height, width, 3) of latents. Found at the first preview of a model."""
        if decoder := self._decoders.of(model.family):
            return partial(tiny.decoded, decoder)
        if model.colours is None:
            model.colours = colours.known(model) or colours.fitted(model)
        look: Callable[[Tensor], Tensor] = model.colours.of
        return look


def _made(glimpse: Glimpse, seen: Tensor) -> Preview:
    rough = Image.fromarray(seen.cpu().numpy())
    canvas = glimpse.canvas
    if canvas is None:
        return preview_of(rough, glimpse.size, glimpse.told)
    whole = canvas.finished(rough.resize(canvas.picture.size, Image.Resampling.BILINEAR))
    return preview_of(whole, whole.size, glimpse.told)
