"""The settings of a picture as AUTOMATIC1111's `parameters` text: written, and read back to the same request.

The prompt, a line that begins with `Negative prompt:`, and one line of `Key: value` pairs. A value that holds
a comma, a colon or a line break is a JSON string. LoRAs stand at the end of the prompt as <lora:name:scale>.
"""

from __future__ import annotations

import dataclasses
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import diffusionapi
from diffusionapi.core import sampling
from diffusionapi.core.request import GenerationRequest, Hires, Lora, Refiner, Upscale
from diffusionapi.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from diffusionapi.core.request import Control, Mask, Source, Tiling

_NEGATIVE = "Negative prompt:"
_TAGS_ADDED = "Lora tags added"
"""Says how many tags at the prompt's end are not the user's own words; only written where one would guess
otherwise."""
EXACT = "Exact"
"""Holds, as JSON, the fields that the grammar cannot carry, such as a prompt that itself has a line
`Negative prompt:`."""
_FEWEST_PAIRS = 3
"""A last line with fewer is taken for a line of the prompt, as A1111 takes it."""

_LABELS = {
    "default": "Uniform",
    "karras": "Karras",
    "exponential": "Exponential",
    "ddim": "DDIM",
    "own": "Automatic",
}
_SCHEDULES = {label: schedule for schedule, label in _LABELS.items() if schedule != "own"}
_AUTOMATIC = dict.fromkeys(("DPM++ 2M", "DPM++ SDE", "DPM++ 2S a", "DPM2", "DPM2 a"), "karras")
_AUTOMATIC["DPM++ 2M SDE"] = "exponential"
"""What A1111 from 1.9 on runs these samplers on when the schedule type is Automatic; all others: uniform."""
_SUFFIXES = {" Karras": "karras", " Exponential": "exponential"}
"""A1111 up to 1.8 named the schedule with the sampler."""

_ELSEWHERE = ("file_type", "quality", "source", "controls", "safety", "blanking", "kind")
_FIELDS = [one.name for one in dataclasses.fields(GenerationRequest) if one.name not in _ELSEWHERE]
"""What a text gives back. Of the others, two are said by the file, and the pictures that one began with are
not in it: the text says how the source was used, in A1111's words."""
_DEFAULTS = {
    one.name: one.default
    for one in dataclasses.fields(GenerationRequest)
    if one.default is not dataclasses.MISSING
}
"""What nobody speaks of where it is as it is by default."""

_TILED: Tiling = "both"
"""What A1111 has a word for; it knows no panoramas."""
_RESIZES = {"crop": "Crop and resize", "fill": "Resize and fill"}
_CONTENTS = {"blurred": "fill", "noise": "latent noise", "blank": "latent nothing"}
"""What the way that needs no word, "Just resize" and "original", leaves."""

_PAIR = re.compile(r'(\w[\w /-]*):[ \t]*("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)')
_TAG = re.compile(r" ?<lora:([^<>:\n]+):([^<>:\n]+)(?::([^<>:\n]+))?>\Z")
_TAGGABLE = re.compile(r"[^<>:\n]+")
_DECIMAL = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?")
_NUMBERS = {
    "Steps",
    "CFG scale",
    "Seed",
    "Clip skip",
    "Denoising strength",
    "Hires upscale",
    "Hires steps",
} | {"Refiner switch at", "Mask blur", "Masked area padding", "Variation seed", "Variation seed strength"}
"""Keys whose values are numbers; a hash may look like one."""
_WITH_HASH = re.compile(r"(.+) \[[0-9a-f]{10}\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the text says beside the request: hashes in A1111's form (models and VAEs: the first 10 hex digits
    of the file's SHA-256; LoRAs by name: see weights.lora_file)."""

    model_hash: str | None = None
    refiner_hash: str | None = None
    lora_hashes: Mapping[str, str] = field(default_factory=dict)
    vae_hash: str | None = None


def write(request: GenerationRequest, facts: Facts) -> str:
    """The text of a picture; `read` gives every field of the request back but its source."""
    pairs = _pairs(request, facts)
    text = _joined(request, pairs)
    added = len(_tags(request))
    if added != len(_trailing_tags(_tagged_prompt(request))):
        pairs[_TAGS_ADDED] = str(added)
        text = _joined(request, pairs)
    if lost := _lost(request, text):
        pairs[EXACT] = json.dumps(lost, default=dataclasses.asdict)
        text = _joined(request, pairs)
    return text


def read(text: str) -> dict[str, Any]:
    """The fields of a GenerationRequest that the text speaks of, under their names there.

    Texts of A1111 itself are read as well. What cannot be understood is left out; a second pass, a refiner,
    LoRAs or skipped layers that are not mentioned are off.
    """
    prompt, negative, pairs = _parse(text)
    prompt, loras = _without_tags(prompt, pairs)
    found: dict[str, Any] = {"prompt": prompt, "negative_prompt": negative, "loras": loras, "clip_skip": None}
    for key, (name, kind) in _PLAIN.items():
        with suppress(KeyError, ValueError):
            found[name] = kind(pairs[key])
    with suppress(KeyError, ValueError):
        found["width"], found["height"] = (int(side) for side in pairs["Size"].split("x"))
    if pairs.get("Tiling") == "True":
        found["tiling"] = _TILED
    if "Sampler" in pairs:
        found |= _sampling(pairs["Sampler"], pairs.get("Schedule type"))
    found |= {"hires": _hires(pairs, found.get("steps")), "refiner": _refiner(pairs)}
    with suppress(KeyError, ValueError, TypeError):
        found |= _exact(json.loads(pairs[EXACT]))
    return found


def parameters(text: str) -> dict[str, int | float | str]:
    """What the text says, key by key in its own words, after `prompt` and `negative_prompt`."""
    prompt, negative, pairs = _parse(text)
    return {"prompt": prompt, "negative_prompt": negative} | {
        key: _as_number(value) if key in _NUMBERS else value for key, value in pairs.items()
    }


def _as_number(value: str) -> int | float | str:
    if not _DECIMAL.fullmatch(value):
        return value
    return float(value) if "." in value else int(value)


_PLAIN: dict[str, tuple[str, Callable[[str], Any]]] = {
    "Steps": ("steps", int),
    "CFG scale": ("guidance", float),
    "Seed": ("seed", int),
    "Clip skip": ("clip_skip", int),
    "Model": ("model", str),
    "VAE": ("vae", str),
}


def _pairs(request: GenerationRequest, facts: Facts) -> dict[str, str]:
    """Key -> value in A1111's order; what there is nothing to say of is left out."""
    hashes = ", ".join(f"{name}: {digits}" for name, digits in facts.lora_hashes.items())
    hires, refiner, source = request.hires, request.refiner, request.source
    again = hires.denoising_strength if hires else source.strength if source else None
    pairs: dict[str, str | None] = {
        "Steps": str(request.steps),
        "Sampler": request.sampler,
        "Schedule type": _LABELS.get(request.schedule, request.schedule),
        "CFG scale": _number(request.guidance),
        "Seed": str(request.seed),
        "Size": f"{request.width}x{request.height}",
        "Model hash": facts.model_hash,
        "Model": request.model,
        "VAE hash": facts.vae_hash if request.vae else None,
        "VAE": request.vae,
        "Denoising strength": None if again is None else _number(again),
        "Clip skip": None if request.clip_skip is None else str(request.clip_skip),
        "RNG": "CPU",
        "Hires upscale": _number(hires.scale) if hires else None,
        "Hires steps": str(hires.steps) if hires else None,
        "Hires upscaler": hires.upscaler if hires else None,
        "Refiner": _with_hash(refiner.model, facts.refiner_hash) if refiner else None,
        "Refiner switch at": _number(refiner.switch_at) if refiner else None,
        "Resize mode": _resize_mode(source) if source else None,
        **_mask_pairs(source.mask if source else None),
        "Tiling": "True" if request.tiling == _TILED else None,
        **_control_pairs(request.controls),
        "Lora hashes": hashes or None,
        "Version": f"diffusionapi {diffusionapi.__version__}",
    }
    return {key: value for key, value in pairs.items() if value is not None}


def _resize_mode(source: Source) -> str | None:
    """In the words of A1111's page, which does not write them. What is painted at the masked part's own size
    comes from a picture that keeps its own."""
    resized = source.mask is None or not source.mask.only_masked
    return _RESIZES.get(source.resize) if resized else None


def _mask_pairs(mask: Mask | None) -> dict[str, str | None]:
    """A1111 leaves out what is as it is when nobody chose."""
    if mask is None:
        return {}
    return {
        "Mask blur": _number(mask.blur) if mask.blur else None,
        "Mask mode": "Inpaint not masked" if mask.invert else None,
        "Masked content": _CONTENTS.get(mask.fill),
        "Inpaint area": "Only masked" if mask.only_masked else None,
        "Masked area padding": str(mask.padding) if mask.only_masked else None,
    }


def _control_pairs(controls: tuple[Control, ...]) -> dict[str, str]:
    """In the words of A1111's extension for ControlNets; the pictures that these looked at are not told."""
    return {
        f"ControlNet {number}": (
            f"Module: {one.hint}, Model: {one.net}, Weight: {_number(one.scale)}, "
            f"Guidance Start: {_number(one.start)}, Guidance End: {_number(one.end)}, "
            f"Control Mode: {'ControlNet is more important' if one.guess else 'Balanced'}"
        )
        for number, one in enumerate(controls)
    }


def _with_hash(name: str, digits: str | None) -> str:
    return f"{name} [{digits}]" if digits else name


def _joined(request: GenerationRequest, pairs: Mapping[str, str]) -> str:
    negative = [f"{_NEGATIVE} {request.negative_prompt}"] if request.negative_prompt else []
    settings = ", ".join(f"{key}: {_quoted(value)}" for key, value in pairs.items())
    return "\n".join([_tagged_prompt(request), *negative, settings])


def _quoted(value: str) -> str:
    needed = not value or value != value.strip() or re.search(r'[,:\n"]', value)
    return json.dumps(value, ensure_ascii=False) if needed else value


def _number(value: float) -> str:
    """The shortest text that reads back as the same number: 7 and not 7.0."""
    return repr(float(value)).removesuffix(".0")


def _tags(request: GenerationRequest) -> list[str]:
    return [f"<lora:{lora.name}:{_scales(lora)}>" for lora in request.loras if _TAGGABLE.fullmatch(lora.name)]


def _scales(lora: Lora) -> str:
    """One number, or first that for the text encoders and then that for the UNet."""
    scales = dict.fromkeys((lora.text_encoder_scale, lora.scale))
    return ":".join(_number(scale) for scale in scales)


def _tagged_prompt(request: GenerationRequest) -> str:
    return " ".join(part for part in (request.prompt, *_tags(request)) if part)


def _lost(request: GenerationRequest, text: str) -> dict[str, Any]:
    """The fields of the request that the text does not give back."""
    found = read(text)
    return {
        name: getattr(request, name)
        for name in _FIELDS
        if found.get(name, _DEFAULTS.get(name)) != getattr(request, name)
    }


def _parse(text: str) -> tuple[str, str, dict[str, str]]:
    """Prompt, negative prompt and the pairs of the last line."""
    *lines, last = text.split("\n")
    found = _PAIR.findall(last)
    if len(found) < _FEWEST_PAIRS:
        lines, found = [*lines, last], []
    begin = next((at for at, line in enumerate(lines) if line.startswith(_NEGATIVE)), len(lines))
    negative = "\n".join(lines[begin:]).removeprefix(_NEGATIVE).removeprefix(" ")
    return "\n".join(lines[:begin]), negative, {key: _unquoted(value.strip()) for key, value in found}


def _unquoted(value: str) -> str:
    if value.startswith('"'):
        with suppress(ValueError):
            return str(json.loads(value, strict=False))
    return value


def _trailing_tags(prompt: str) -> list[Lora]:
    loras: list[Lora] = []
    while tag := _TAG.search(prompt):
        try:
            loras.insert(0, Lora(tag[1], float(tag[3] or tag[2]), float(tag[2])))
        except ValueError:
            break
        prompt = prompt[: tag.start()]
    return loras


def _without_tags(prompt: str, pairs: Mapping[str, str]) -> tuple[str, tuple[Lora, ...]]:
    loras = _trailing_tags(prompt)
    with suppress(KeyError, ValueError):
        loras = loras[max(0, len(loras) - int(pairs[_TAGS_ADDED])) :]
    for _ in loras:
        prompt = _TAG.sub("", prompt)
    return prompt, tuple(loras)


def _sampling(sampler: str, label: str | None) -> dict[str, str]:
    """Sampler and effective schedule; names that are not ours stay as they are."""
    schedule = "default" if label is None else _SCHEDULES.get(label, label.casefold())
    if label == "Automatic":
        schedule = _AUTOMATIC.get(sampler, "default")
    for suffix, named in _SUFFIXES.items():
        if sampler not in sampling.SAMPLERS and sampler.endswith(suffix):
            sampler, schedule = sampler.removesuffix(suffix), named
    try:
        chosen = sampling.resolve(sampler, schedule, 1000, sampler_field="Sampler", schedule_field="Schedule")
    except BadRequest:
        return {"sampler": sampler, "schedule": schedule}
    return {"sampler": chosen.sampler, "schedule": chosen.schedule}


def _hires(pairs: Mapping[str, str], first_pass_steps: int | None) -> Hires | None:
    with suppress(KeyError, ValueError):
        return Hires(
            scale=float(pairs["Hires upscale"]),
            upscaler=pairs.get("Hires upscaler", "Latent"),
            steps=int(pairs.get("Hires steps", first_pass_steps or 0)),
            denoising_strength=float(pairs["Denoising strength"]),
        )
    return None


def _refiner(pairs: Mapping[str, str]) -> Refiner | None:
    with suppress(KeyError, ValueError):
        named = _WITH_HASH.fullmatch(pairs["Refiner"])
        return Refiner(named[1] if named else pairs["Refiner"], float(pairs["Refiner switch at"]))
    return None


def _exact(fields: dict[str, Any]) -> dict[str, Any]:
    found = {name: fields[name] for name in _FIELDS if name in fields}
    if "loras" in found:
        found["loras"] = tuple(Lora(**lora) for lora in found["loras"])
    for name, kind in (("hires", Hires), ("refiner", Refiner), ("upscale", Upscale)):
        if found.get(name) is not None:
            found[name] = kind(**found[name])
    return found
