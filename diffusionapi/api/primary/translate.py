"""Between the primary dialect and the core: its request in, its answers out."""

from __future__ import annotations

import base64
import secrets
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from diffusionapi.api.primary.schemas import (
    MAX_SEED,
    FinishedStatus,
    PreviewedStatus,
    QueueEntry,
    QueueStatus,
    Sampling,
    State,
    Txt2ImgRequest,
)
from diffusionapi.catalog import matching
from diffusionapi.catalog.matching import Named
from diffusionapi.core import sampling
from diffusionapi.core.job import JobState, Progress, Ticket
from diffusionapi.core.lora_tags import take_loras
from diffusionapi.core.request import GenerationRequest, Hires, Lora, Refiner, safety
from diffusionapi.errors import BadRequest

if TYPE_CHECKING:
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.core.events import Picture, Preview
    from diffusionapi.core.request import Source
    from diffusionapi.jobs.store import Entry
    from diffusionapi.settings import Settings

DIALECT = "primary"

_STATES: dict[JobState, State] = {
    JobState.QUEUED: "queued",
    JobState.RUNNING: "processing",
    JobState.DONE: "done",
    JobState.FAILED: "error",
    JobState.CANCELLED: "error",
}


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
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a picture begins that does not begin with noise alone. `named` says in the payload, which holds no
    pictures, under which names the given ones are kept."""

    source: Source
    size: tuple[int, int]
    named: dict[str, str]
    notices: tuple[str, ...]


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
    acting = (named for named, lora in loras if lora.scale or lora.text_encoder_scale)
    matching.check(catalog, Named(model, "model"), refiner, acting)
    if settings.safety == "required" and catalog.safety_checker(model) is None:
        raise BadRequest("model", "has no safety checker, and this server shows no picture without (SAFETY)")
    return Chosen(
        model=model.name,
        sampler=chosen.sampler,
        schedule=chosen.schedule,
        prompt=prompt,
        loras=tuple(lora for _, lora in loras),
        refiner=Refiner(refiner.what.name, body.refiner_switch_at) if refiner else None,
        upscaler=_upscaler(body, catalog, chosen.sampler),
        notices=chosen.notices,
    )


def ticket(
    body: Txt2ImgRequest, chosen: Chosen, settings: Settings, beginning: Beginning | None = None
) -> Ticket:
    """A new job of this request."""
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
        safety=safety(settings.safety, asked=False),
    )
    notices = chosen.notices + (beginning.notices if beginning else ())
    payload = _payload(body, width, height, chosen.model, beginning.named if beginning else {})
    return Ticket(str(uuid.uuid4()), DIALECT, time.time(), request, payload, notices)


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


def _refiner(body: Txt2ImgRequest, catalog: Catalog) -> Named | None:
    if not body.refiner_checkpoint:
        return None
    return Named(catalog.model(body.refiner_checkpoint, "refiner_checkpoint"), "refiner_checkpoint")


def _payload(
    body: Txt2ImgRequest, width: int, height: int, model: str, pictures: dict[str, str]
) -> dict[str, Any]:
    """The request as understood: defaults filled in, what was left open and has no default left out."""
    payload = body.model_dump(exclude_none=True, exclude=set(pictures))
    payload |= {"width": width, "height": height} | pictures
    # Written over in place, so that the order stays that of the documented answer.
    full = {name: model if name == "model" else payload.get(name) for name in type(body).model_fields}
    if body.model:
        full["model"] = body.model
    if not (body.refiner_checkpoint or "refiner_switch_at" in body.model_fields_set):
        full["refiner_switch_at"] = None
    return {name: value for name, value in full.items() if value is not None}


def status(job_id: str, progress: Progress) -> QueueStatus:
    """The answer for a job that has no picture (yet)."""
    error = None
    if progress.failure is not None:
        error = progress.failure.sentence
    elif progress.state is JobState.CANCELLED:
        error = "The job was cancelled"
    return QueueStatus(
        status="error" if error else "success",
        job_id=job_id,
        progress=percent(progress),
        current_phase=progress.phase,
        state=_STATES[progress.state],
        error=error,
    )


def previewed(job_id: str, progress: Progress, preview: Preview | None) -> PreviewedStatus:
    told = status(job_id, progress).model_dump()
    return PreviewedStatus(**told, preview=base64.b64encode(preview.content).decode() if preview else None)


def finished(job: Ticket, picture: Picture, content: bytes, output_path: str) -> FinishedStatus:
    return FinishedStatus(
        status="success",
        job_id=job.id,
        progress=100,
        current_phase="done",
        state="done",
        error=None,
        payload=job.payload,
        image=base64.b64encode(content).decode(),
        output_path=output_path,
        width=picture.width,
        height=picture.height,
        file_type=picture.file_type,
        jpeg_quality=picture.quality,
        generation_time_sec=picture.seconds,
        memory_before_mb=picture.memory_before_mb,
        memory_after_mb=picture.memory_after_mb,
        seed=picture.seed,
        sampling=sampled(picture),
    )


def sampled(picture: Picture) -> Sampling | None:
    how = picture.sampled
    if how is None:
        return None
    return Sampling(
        sampler_name=how.sampler,
        scheduler_type=how.schedule,
        steps=how.steps,
        hires_steps=how.hires_steps,
        seed=how.seed,
        notices=list(how.notices),
    )


def entry(one: Entry, now: float) -> QueueEntry:
    began = one.progress.started_at if one.progress.state is JobState.RUNNING else None
    return QueueEntry(
        job_id=one.job_id,
        state=_STATES[one.progress.state],
        current_phase=one.progress.phase,
        progress=percent(one.progress),
        position=one.position,
        waiting_time_sec=round(max(0.0, (began or now) - one.created_at), 2),
    )


def percent(progress: Progress) -> float:
    return round(100 * progress.fraction, 2)
