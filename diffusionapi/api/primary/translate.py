"""From the primary dialect to the core: what a request for a picture means."""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from diffusionapi.api.primary import control
from diffusionapi.api.primary.schemas import MAX_SEED, Txt2ImgRequest
from diffusionapi.catalog import matching
from diffusionapi.catalog.choosing import picture_upscaler
from diffusionapi.catalog.matching import Named
from diffusionapi.core import enlarging, sampling
from diffusionapi.core.job import Ticket
from diffusionapi.core.lora_tags import take_loras
from diffusionapi.core.request import GenerationRequest, Hires, Lora, Refiner, Upscale, safety
from diffusionapi.errors import BadRequest

if TYPE_CHECKING:
    from diffusionapi.api.primary.control import Net
    from diffusionapi.api.primary.schemas import UpscaleConfig
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.catalog.scan import Installed
    from diffusionapi.core.request import Control, Safety, Source
    from diffusionapi.settings import Settings

DIALECT = "primary"

_ONLY_IF_CHOSEN = ("controls", "self_attention", "tiling", "translate", "priority")
"""Fields that the payload has only where somebody chose: clients know it without them."""


class Sized(Protocol):
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the names in a request stand for."""

    model: str
    sampler: str
    schedule: str
    prompt: str
    loras: tuple[Lora, ...]
    refiner: Refiner | None
    upscaler: str | None
    """Of the second pass."""
    nets: tuple[Net, ...]
    vae: str | None
    upscale: Upscale | None
    safety: Safety
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a picture begins that does not begin with noise alone. `named` says in the payload, which holds no
    pictures, under which names the given ones are kept."""

    source: Source
    size: tuple[int, int]
    named: dict[str, str]
    notices: tuple[str, ...]
    kept_size: tuple[int, int] | None = None
    """Of the whole picture, where only a part of it is painted and set back."""


def choose(body: Txt2ImgRequest, catalog: Catalog, settings: Settings) -> Chosen:
    """Look up every name and make every choice that a request leaves open; looks at files."""
    model = catalog.model(body.model, "model") if body.model else catalog.default_model("model")
    chosen = sampling.resolve(
        body.sampler_name,
        body.scheduler_type,
        body.steps,
        sampler_field="sampler_name",
        schedule_field="scheduler_type",
    )
    refiner = _refiner(body, catalog)
    prompt, loras = _loras(body, catalog)
    vae = catalog.vae(body.vae, "vae") if body.vae else None
    nets = control.nets(body, catalog, model)
    matching.check(
        catalog,
        Named(model, "model"),
        refiner,
        (named for named, lora in loras if lora.scale or lora.text_encoder_scale),
        vae=Named(vae, "vae") if vae else None,
        controls=[Named(one.what, f"{one.place}.model") for one in nets],
    )
    notices = chosen.notices
    if body.translate:
        unclear = catalog.check_languages({"prompt": prompt, "negative_prompt": body.negative_prompt})
        notices += (unclear,) if unclear else ()
    return Chosen(
        model=model.name,
        sampler=chosen.sampler,
        schedule=chosen.schedule,
        prompt=prompt,
        loras=tuple(lora for _, lora in loras),
        refiner=Refiner(refiner.what.name, body.refiner_switch_at) if refiner else None,
        upscaler=_upscaler(body, catalog, chosen.sampler),
        nets=nets,
        vae=vae.name if vae else None,
        upscale=upscale(body.upscale, catalog, "upscale.") if body.upscale else None,
        safety=_safety(body, model, catalog, settings),
        notices=notices,
    )


def ticket(
    body: Txt2ImgRequest,
    chosen: Chosen,
    settings: Settings,
    beginning: Beginning | None = None,
    controls: tuple[Control, ...] = (),
) -> Ticket:
    """A new job of this request; `controls` are those of the chosen nets."""
    width, height = beginning.size if beginning else size(body, settings.max_side)
    request = GenerationRequest(
        prompt=chosen.prompt,
        negative_prompt=body.negative_prompt,
        model=chosen.model,
        width=width,
        height=height,
        steps=body.steps,
        guidance=body.cfg_scale,
        sampler=chosen.sampler,
        schedule=chosen.schedule,
        seed=secrets.randbelow(MAX_SEED + 1) if body.seed in (None, -1) else body.seed,
        file_type=body.fileType,
        quality=body.jpeg_quality,
        clip_skip=body.clip_skip,
        loras=chosen.loras,
        hires=_hires(body, chosen.upscaler, (width, height), settings.max_side),
        refiner=chosen.refiner,
        source=beginning.source if beginning else None,
        safety=chosen.safety,
        blanking=body.blanking or "black",
        controls=controls,
        self_attention=body.self_attention,
        tiling=body.tiling,
        vae=chosen.vae,
        upscale=chosen.upscale if chosen.upscale and _is_larger(chosen.upscale) else None,
        translate=body.translate,
    )
    if request.upscale:
        painted = (beginning and beginning.kept_size) or request.final_size
        enlarging.check(painted, request.upscale.scale, settings.max_side, "upscale.scale")
    notices = chosen.notices + (beginning.notices if beginning else ())
    kept: dict[str, Any] = {"width": width, "height": height} | (beginning.named if beginning else {})
    payload = _payload(body, chosen, kept | {"controls": control.shown(chosen.nets, controls)})
    return Ticket(str(uuid.uuid4()), DIALECT, time.time(), request, payload, notices, body.priority)


def size(asked: Sized, largest: int, within: str = "") -> tuple[int, int]:
    """Width and height that are asked for, as the server makes them; `within` is the field that has them."""
    width, height = (_side(within + name, getattr(asked, name), largest) for name in ("width", "height"))
    return width, height


def _side(name: str, pixels: int, largest: int) -> int:
    rounded = max(8, (pixels + 4) // 8 * 8)
    if rounded > largest:
        raise BadRequest(name, f"at most {largest} on this server (MAX_SIDE), got {pixels}")
    return rounded


def _loras(body: Txt2ImgRequest, catalog: Catalog) -> tuple[str, list[tuple[Named, Lora]]]:
    """The prompt without its LoRA tags, and the LoRAs of the list and then of the tags."""
    prompt, tags = take_loras(body.prompt)
    asked = [(f"loras[{place}]", use.name, use.scale, use.scale) for place, use in enumerate(body.loras)]
    asked += [("prompt", tag.name, tag.scale, tag.text_encoder_scale) for tag in tags]
    found = []
    for field, name, scale, text_encoder_scale in asked:
        installed = catalog.lora(name, field)
        found.append((Named(installed, field), Lora(installed.name, scale, text_encoder_scale)))
    return prompt, found


def _upscaler(body: Txt2ImgRequest, catalog: Catalog, sampler: str) -> str | None:
    """The name of the second pass' upscaler, None without a second pass."""
    if body.hires is None:
        return None
    upscaler = catalog.upscaler(body.hires.upscaler, "hires.upscaler")
    if not body.hires.enabled:
        return None
    sampling.check_steps(sampler, body.hires.steps, "hires.steps")
    return upscaler.name


def _hires(body: Txt2ImgRequest, upscaler: str | None, size: tuple[int, int], max_side: int) -> Hires | None:
    hires = body.hires
    if hires is None or upscaler is None:
        return None
    if max(size) * hires.scale > 2 * max_side:
        raise BadRequest(
            "hires.scale", f"the picture may have {2 * max_side} pixels a side at most (twice MAX_SIDE)"
        )
    return Hires(hires.scale, upscaler, hires.steps, hires.denoising_strength)


def upscale(asked: UpscaleConfig, catalog: Catalog, within: str = "") -> Upscale:
    """Looks at files; `within` is the field that has the others."""
    upscaler = picture_upscaler(catalog, asked.upscaler, f"{within}upscaler")
    if asked.faces and (problem := catalog.faces_missing()) is not None:
        raise BadRequest(f"{within}faces", problem)
    return Upscale(upscaler, asked.scale, asked.faces)


def _is_larger(one: Upscale) -> bool:
    return one.scale > 1 or one.faces


def _safety(body: Txt2ImgRequest, model: Installed, catalog: Catalog, settings: Settings) -> Safety:
    wanted = "required" if body.blanking else safety(settings.safety, asked=False)
    if wanted == "required" and catalog.safety_checker(model) is None:
        if body.blanking:
            raise BadRequest("blanking", f"no safety checker is installed for {model.name!r}")
        raise BadRequest("model", "has no safety checker, and this server shows no picture without (SAFETY)")
    return wanted


def _refiner(body: Txt2ImgRequest, catalog: Catalog) -> Named | None:
    if not body.refiner_checkpoint:
        return None
    return Named(catalog.model(body.refiner_checkpoint, "refiner_checkpoint"), "refiner_checkpoint")


def _payload(body: Txt2ImgRequest, chosen: Chosen, kept: dict[str, Any]) -> dict[str, Any]:
    """The request as understood: defaults filled in, what was left open and has no default left out. `kept`
    says what some fields came to, and of pictures under which names they are kept."""
    payload = body.model_dump(exclude_none=True, exclude=set(kept)) | kept
    if chosen.upscale and body.upscale:
        payload["upscale"]["upscaler"] = body.upscale.upscaler or chosen.upscale.upscaler
    # Written over in place, so that the order stays that of the documented answer.
    full = {name: chosen.model if name == "model" else payload.get(name) for name in type(body).model_fields}
    if body.model:
        full["model"] = body.model
    if not (body.refiner_checkpoint or "refiner_switch_at" in body.model_fields_set):
        full["refiner_switch_at"] = None
    fields = type(body).model_fields
    unchosen = {name for name in _ONLY_IF_CHOSEN if full[name] == fields[name].default}
    return {name: value for name, value in full.items() if value is not None and name not in unchosen}
