"""What recipes share: models, embeddings, LoRAs and upscalers of one device, found by their names."""

from __future__ import annotations

import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import psutil
import torch

from diffusionapi.blobs.open import open_uploads
from diffusionapi.catalog.catalog import Catalog
from diffusionapi.engine import devices, memory, safety
from diffusionapi.engine.adapters.lora import Loras, Use, in_order
from diffusionapi.engine.control.rack import Rack
from diffusionapi.engine.denoiser import Weights
from diffusionapi.engine.faces.cache import Faces
from diffusionapi.engine.hints.readers import Readers
from diffusionapi.engine.models import offload
from diffusionapi.engine.models.cache import ModelCache
from diffusionapi.engine.models.hashes import Hashes
from diffusionapi.engine.models.load import load
from diffusionapi.engine.models.quarters import Quarters
from diffusionapi.engine.models.vaes import Vaes
from diffusionapi.engine.passes import passes
from diffusionapi.engine.previews import colours
from diffusionapi.engine.previews.tiny import TinyDecoders
from diffusionapi.engine.prompts.cache import EncodedCache
from diffusionapi.engine.prompts.embeddings import Embeddings
from diffusionapi.engine.prompts.encode import PromptEncoder
from diffusionapi.engine.prompts.plan import Conditioning
from diffusionapi.engine.samplers.levels import NoiseTable
from diffusionapi.engine.scene import Scene, Side
from diffusionapi.engine.translation.prompts import Prompter
from diffusionapi.engine.upscalers import image, wrapped
from diffusionapi.engine.upscalers.enlarger import Enlarger
from diffusionapi.engine.upscalers.upscaler import Upscaler, Upscalers
from diffusionapi.errors import BadRequest, Error, Misconfigured
from diffusionapi.infotext import grammar as infotext
from diffusionapi.weights.lora_file import short_hash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from diffusionapi.core.request import GenerationRequest, Lora, Tiling, Upscale
    from diffusionapi.engine.adapters.lora import Uses
    from diffusionapi.engine.img2img.canvas import Canvas
    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.engine.safety import SafetyChecker
    from diffusionapi.settings import Settings


class Workshop:
    def __init__(self, settings: Settings) -> None:
        self.device = devices.device(settings)
        dtype = devices.dtype(settings, self.device)
        devices.prepare(self.device, dtype)
        self._stage = offload.stage(settings, self.device)
        home = torch.device("cpu") if self._stage else self.device
        cuda, pickles = self.device.type == "cuda", settings.allow_pickles
        self._quarters = Quarters(home, self._stage, dtype, cuda, pickles)
        self._settings = settings
        self._catalog = Catalog(settings)
        self._hashing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hashing")
        self._hashes = Hashes(settings.path(settings.models_dir) / ".hashes.json")
        self._models = ModelCache(
            self._load,
            device=home,
            dtype=dtype,
            device_bytes=settings.model_memory_mb * 2**20 or memory.for_models(home),
            host_bytes=psutil.virtual_memory().total // 2,
        )
        self._embeddings = Embeddings(settings.path(settings.embeddings_dir))
        self._encoded = EncodedCache()
        self._upscalers = Upscalers(self.device)
        self._faces = Faces(self.device)
        self._prompter = Prompter(self._catalog)
        self._checkers: dict[Path, SafetyChecker] = {}
        self.uploads = open_uploads(settings, patient=True)
        self._readers = Readers(settings.path(settings.hints_dir), home)
        self._rack = Rack(self._catalog, self._models, self.uploads, self._readers, self._quarters)
        self._vaes = Vaes(self._catalog, self._models, self._quarters)
        self.decoders = TinyDecoders(settings.path(settings.taesd_dir), self.device, dtype)
        self._scenes: weakref.WeakSet[Scene] = weakref.WeakSet()
        self.trainings = settings.path(settings.trainings_dir)
        self._taught: list[Path] = []

    def _load(self, path: Path) -> LoadedModel:
        model = self._quarters.loader(partial(load, hashes=self._hashes))(path)
        if self._stage:
            # Not in the thread of the previews: a VAE that comes drives out what is at work on the device.
            model.colours = colours.known(model) or colours.fitted(model)
        # To read gigabytes takes seconds, and it is wanted only when the first picture is done.
        self._hashing.submit(self._hashes.of, model.path)
        return model

    def _hash(self, model: LoadedModel) -> str:
        return self._hashing.submit(self._hashes.of, model.path).result()

    # --- what a picture needs ---------------------------------------------------------------------------

    def scene(self, request: GenerationRequest, canvas: Canvas | None = None) -> Scene:
        """The models of a request, loaded, what its prompts mean to them, and what holds it."""
        main = self._weights(request.model, "model", self._uses(request))
        refiner = self._weights(request.refiner.model, "refiner_checkpoint") if request.refiner else None
        _check_families(main, refiner)
        sides = [main] if refiner is None else [main, refiner]
        steps = passes(request, main.table)[0].steps
        first = [Side(one, self._conditioning(one, request, steps)) for one in sides]
        second: list[Side] = []
        if request.hires:
            steps = request.hires.steps
            second = [Side(one, self._conditioning(one, request, steps, request.steps)) for one in sides]
        keep = {*self._in_use(), *(one.model.path for one in sides)}
        coder = self._vaes.coder(request.vae, main.model, keep)
        if request.vae:
            self._hashing.submit(self._hashes.of_vae, coder.path)
        holds = self._rack.holds(request, main.model, canvas, {*keep, coder.path})
        scene = Scene(request, first, second, coder, holds)
        self._scenes.add(scene)
        return scene

    def upscaler(self, name: str) -> Upscaler:
        installed = self._catalog.upscaler(name, "hires.upscaler")
        return self._upscalers.get(installed.name, installed.path)

    def image_upscaler(self, name: str) -> Upscaler:
        """One that takes a picture as it is, without the latents it was made of."""
        installed = self._catalog.upscaler(name, "upscaler")
        if installed.path is None and installed.name not in image.UPSCALERS:
            known = ", ".join(image.UPSCALERS)
            raise BadRequest(
                "upscaler", f"{installed.name!r} enlarges latents only; name {known} or one in a file"
            )
        return self._upscalers.get(installed.name, installed.path)

    def enlarger(self, upscale: Upscale, tiling: Tiling = "none") -> Enlarger:
        """What makes a picture larger, with all it needs loaded."""
        restorer = None
        if upscale.faces:
            files = self._catalog.face_restorer()
            if files is None:
                raise BadRequest("faces", self._catalog.faces_missing() or "faces cannot be restored")
            restorer = self._faces.get(*files)
        upscaler = wrapped.pictures(self.image_upscaler(upscale.upscaler), tiling)
        return Enlarger(upscaler, upscale.scale, restorer, self._settings.max_side)

    def english(self, *prompts: str) -> Future[tuple[str, ...]]:
        """Prompts in any language, told in English by a thread that takes its time."""
        return self._prompter.english(prompts)

    def safety_checker(self, request: GenerationRequest) -> SafetyChecker | None:
        """What looks at the picture in the end, None where nothing does."""
        folder = self._checker_of(request)
        if folder is None and request.safety == "required":
            raise BadRequest("safety", _NO_CHECKER)
        if folder is None:
            return None
        if folder not in self._checkers:
            self._checkers.clear()
            device = torch.device("cpu") if self._stage else self.device
            self._checkers[folder] = safety.load(folder, device, pickles=self._settings.allow_pickles)
        return self._checkers[folder]

    def checks(self, request: GenerationRequest) -> bool:
        """Whether a safety checker has to see the picture before anybody else does."""
        try:
            return request.safety == "required" or self._checker_of(request) is not None
        except Error:  # of a model that is gone, so there will be no picture either
            return True

    def _checker_of(self, request: GenerationRequest) -> Path | None:
        if request.safety == "off":
            return None
        return self._catalog.safety_checker(self._catalog.model(request.model, "model"))

    def settings_text(self, request: GenerationRequest, scene: Scene) -> str:
        """What the picture's file says about itself."""
        hashes = [self._hash(side.weights.model) for side in scene.first]
        vae = self._hashing.submit(self._hashes.of_vae, scene.coder.path) if request.vae else None
        facts = infotext.Facts(
            model_hash=hashes[0],
            refiner_hash=hashes[1] if len(hashes) > 1 else None,
            lora_hashes={lora.name: short_hash(self._lora_file(lora)) for lora in request.loras},
            vae_hash=vae.result() if vae else None,
        )
        return infotext.write(request, facts)

    def activate(self, weights: Weights) -> None:
        """Put exactly the LoRAs of these weights onto their model, for the calls that follow."""
        self._loras_on(weights.model).activate(weights.adapters)

    # --- what a training needs --------------------------------------------------------------------------

    @contextmanager
    def taught(self, name: str) -> Iterator[Weights]:
        """A model that learns; inside, it stays on the device whatever else is loaded."""
        if self._settings.offload == "sequential":
            raise Misconfigured("Setting OFFLOAD: nothing is learnt piece by piece; set it to model or none")
        weights = self._weights(name, "model")
        self._taught.append(weights.model.path)
        try:
            yield weights
        finally:
            self._taught.remove(weights.model.path)

    def prompt_encoder(self, model: LoadedModel) -> PromptEncoder:
        """One that shares nothing that it has encoded, since text encoders that learn change their mind."""
        return PromptEncoder(model, embeddings=self._embeddings)

    # --- memory -----------------------------------------------------------------------------------------

    def free_memory(self) -> None:
        """What can be done when the device is full."""
        self._upscalers.forget()
        self._readers.forget()
        self._faces.forget()
        self._prompter.forget()
        self._checkers.clear()
        self._encoded.clear()
        memory.give_back()

    def close(self) -> None:
        self._hashing.shutdown(wait=False, cancel_futures=True)
        self._prompter.close()
        self._models.clear()

    # --- models -----------------------------------------------------------------------------------------

    def _weights(self, name: str, field: str, uses: Uses = ()) -> Weights:
        path = self._catalog.model(name, field).path
        if path is None:
            raise BadRequest(field, f"{name!r} has no weights")
        with torch.inference_mode(False):  # what is made in that mode can never be learnt on
            model = self._models.get(path, keep=set(self._in_use()))
        return Weights(model, NoiseTable(model.alphas_cumprod), uses)

    def _uses(self, request: GenerationRequest) -> Uses:
        return in_order(
            Use.of(self._lora_file(lora), lora.scale, lora.text_encoder_scale) for lora in request.loras
        )

    def _lora_file(self, lora: Lora) -> Path:
        path = self._catalog.lora(lora.name, "loras").path
        assert path is not None
        return path

    def _loras_on(self, model: LoadedModel) -> Loras:
        if model.adapters is None:
            model.adapters = Loras(model, keep_bytes=0) if self._stage else Loras(model)
        loras: Loras = model.adapters
        return loras

    def _in_use(self) -> Iterator[Path]:
        yield from self._taught
        for scene in self._scenes:
            yield from (side.weights.model.path for side in scene.first)
            yield from (one.net.path for one in scene.controls)
            yield scene.coder.path

    def _conditioning(
        self, weights: Weights, request: GenerationRequest, steps: int, first_pass: int | None = None
    ) -> Conditioning:
        self.activate(weights)  # LoRAs change what prompts mean, too
        encoder = PromptEncoder(
            weights.model, request.clip_skip, self._embeddings, cache=self._encoded, adapters=weights.adapters
        )
        return Conditioning(encoder, request.prompt, request.negative_prompt, steps, first_pass)


_NO_CHECKER = "no safety checker is installed, and pictures may not be shown without a look at them"


def _check_families(main: Weights, refiner: Weights | None) -> None:
    if main.model.family == "refiner":
        raise BadRequest("model", f"{main.model.name} is a refiner; name it as refiner_checkpoint")
    if refiner is None:
        return
    if main.model.family != "sdxl":
        raise BadRequest("refiner_checkpoint", "a refiner needs an SDXL model, which this one is not")
    if refiner.model.family != "refiner":
        raise BadRequest("refiner_checkpoint", f"{refiner.model.name} is not an SDXL refiner")
