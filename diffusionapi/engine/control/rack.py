"""The ControlNets of one device: found by their names, loaded, and put on what a request shows them."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

import torch
from PIL import Image

from diffusionapi.engine.control import nets
from diffusionapi.engine.control.hold import Hold, hold
from diffusionapi.engine.models.cache import Kind
from diffusionapi.errors import BadRequest
from diffusionapi.weights import controlnets

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from diffusionapi.blobs.uploads import Uploads
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.core.request import Control, GenerationRequest
    from diffusionapi.engine.control.nets import ControlNet
    from diffusionapi.engine.hints.readers import Readers
    from diffusionapi.engine.img2img.canvas import Canvas
    from diffusionapi.engine.models.cache import ModelCache
    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.engine.models.quarters import Quarters

_FIELD = "controls"


class Rack:
    def __init__(
        self, catalog: Catalog, cache: ModelCache, uploads: Uploads, readers: Readers, quarters: Quarters
    ) -> None:
        self._catalog = catalog
        self._cache = cache
        self._uploads = uploads
        self._readers = readers
        half, pickles = quarters.dtype != torch.float32, quarters.pickles
        self._kind = Kind(
            quarters.loader(nets.load),
            lambda path: controlnets.inspect(path, pickles=pickles).parameters,
            partial(controlnets.weight_files, half=half, pickles=pickles),
        )

    def holds(
        self, request: GenerationRequest, model: LoadedModel, canvas: Canvas | None, keep: Collection[Path]
    ) -> list[Hold]:
        """What holds the picture; models and nets in `keep` stay where they are."""
        found: list[Hold] = []
        for asked in request.controls:
            net = self._net(asked, {*keep, model.path, *(one.net.path for one in found)})
            nets.check(net, model)
            with Image.open(io.BytesIO(self._uploads.get(asked.upload))) as opened:
                given = opened.convert("RGB")
            read = partial(self._readers.read, asked.hint, seed=request.seed)
            found.append(hold(net, asked, given, read, request, canvas))
        return found

    def _net(self, asked: Control, keep: Collection[Path]) -> ControlNet:
        path = self._catalog.controlnet(asked.net, _FIELD).path
        if path is None:
            raise BadRequest(_FIELD, f"{asked.net!r} has no weights")
        return self._cache.fetch(self._kind, path, keep)
