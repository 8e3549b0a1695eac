"""Who reads which hint: by name, those that need a network with it, loaded when it is first asked for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from diffusionapi.catalog import hints
from diffusionapi.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch
    from PIL import Image

    Reader = Callable[[Image.Image], Image.Image]


class Readers:
    """Networks stay until memory is needed: they are small beside a model."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._folder = folder
        self._device = device
        self._networks: dict[str, Any] = {}

    def read(self, hint: str, picture: Image.Image, *, seed: int) -> Image.Image:
        """What a ControlNet for this hint wants to see, of the picture's size; the seed is for `shuffle`."""
        if (sentence := hints.missing(hint, self._folder)) is not None:
            raise BadRequest("controls", sentence)
        return self._reader(hint, seed)(picture)

    def forget(self) -> None:
        self._networks.clear()

    def _reader(self, hint: str, seed: int) -> Reader:
        from diffusionapi.engine.hints import plain  # OpenCV is 60 MB, which most pictures do without

        match hint:
            case "none" | "tile" | "inpaint":  # what a net for inpainting sees is blotted out later
                return lambda picture: picture
            case "canny":
                return plain.canny
            case "scribble":
                return plain.scribble
            case "shuffle":
                return partial(plain.shuffle, seed=seed)
            case "depth" | "normal" | "segmentation":
                return self._of_scenes(hint)
            case "lineart" if not (self._folder / hints.FILES[hint]).is_file():
                return plain.lineart
            case _:
                return self._of_lines(hint)

    def _of_lines(self, hint: str) -> Reader:
        from diffusionapi.engine.hints import edges, poses, straight
        from diffusionapi.engine.hints.network import Network

        network = self._kept(hints.FILES[hint], Network)
        readers = {
            "hed": edges.hed,
            "softedge": edges.hed,
            "lineart": edges.lineart,
            "mlsd": straight.straight_lines,
            "openpose": poses.poses,
        }
        return partial(readers[hint], network)

    def _of_scenes(self, hint: str) -> Reader:
        from diffusionapi.engine.hints import scenes

        if hint == "segmentation":
            return partial(scenes.segmentation, self._kept(hints.FOLDERS[hint], scenes.segmentation_network))
        network = self._kept(hints.FOLDERS[hint], scenes.depth_network)
        return partial(scenes.depth if hint == "depth" else scenes.normal, network)

    def _kept(self, name: str, load: Callable[[Path, torch.device], Any]) -> Any:
        if name not in self._networks:
            self._networks[name] = load(self._folder / name, self._device)
        return self._networks[name]
