"""The `meta` of an answer: the request as it was understood, by the names and in the order of each route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffusionapi.api.v3.generation_schemas import Controlled, Generation, Img2Img

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from diffusionapi.api.v3.beginning import Beginning
    from diffusionapi.api.v3.translate import Chosen, Face
    from diffusionapi.core.request import GenerationRequest

    Meta = dict[str, Any]


def meta(
    face: Face,
    body: Generation,
    chosen: Chosen,
    begun: Beginning,
    first: GenerationRequest,
    prefix: str,
) -> Meta:
    """`first` is what the first of the pictures is asked for by; numbers are numbers, however they came."""
    shared = {
        "prompt": first.prompt,
        "negative_prompt": first.negative_prompt,
        "W": first.width,
        "H": first.height,
        "guidance_scale": first.guidance,
        "steps": first.steps,
        "seed": first.seed,
        "n_samples": body.samples,
        "file_prefix": prefix,
        "outdir": "out",
        "safetychecker": _yes(first.safety != "off"),
        "safety_checker": _yes(first.safety != "off"),
    }
    return shared | _FACES[face](body, chosen, first) | _pictures(face, body, begun, first)


def _core(_: Generation, chosen: Chosen, first: GenerationRequest) -> Meta:
    """As clients of the first routes know it; the last two are what they always were."""
    return {
        "model": chosen.model.name,
        "vae": first.vae or "",
        "revision": "fp16",
        "enable_attention_slicing": "true",
    }


def _inpaint(_: Generation, __: Chosen, ___: GenerationRequest) -> Meta:
    return {}


def _community(body: Generation, chosen: Chosen, first: GenerationRequest) -> Meta:
    return {
        "model_id": body.model_id,
        "scheduler": chosen.scheduler.used,
        "full_url": "no",
        "upscale": str(body.upscale) if first.upscale else "no",
        "multi_lingual": _yes(body.multi_lingual),
        "panorama": _yes(body.panorama),
        "self_attention": _yes(body.self_attention),
        "embeddings": _listed(body.embeddings_model),
        "lora": _listed(body.lora_model),
        "lora_strength": _listed(f"{one:g}" for one in body.lora_strength) if body.lora_model else None,
        "tomesd": _yes(body.tomesd),
        "use_karras_sigmas": _yes(body.use_karras_sigmas),
        "vae": first.vae,
        "clip_skip": body.clip_skip,
        "temp": _yes(body.temp),
        "base64": _yes(body.base64),
    }


_FACES: dict[Face, Callable[[Generation, Chosen, GenerationRequest], Meta]] = {
    "core": _core,
    "inpaint": _inpaint,
    "dreambooth": _community,
}


def _pictures(face: Face, body: Generation, begun: Beginning, first: GenerationRequest) -> Meta:
    if isinstance(body, Controlled):
        return {
            **begun.shown,
            "strength": first.source.strength if first.source else None,
            "controlnet_model": _listed(body.controlnet_model),
            "controlnet_type": _listed(body.controlnet_type),
            "auto_hint": _yes(any(one.hint != "none" for one in begun.controls)),
            "guess_mode": _yes(body.guess_mode),
            "controlnet_conditioning_scale": _listed(
                f"{one:g}" for one in body.controlnet_conditioning_scale
            ),
        }
    if isinstance(body, Img2Img) and face != "core":
        return {**begun.shown, "strength": body.strength}
    return {}


def _yes(said: bool) -> str:
    return "yes" if said else "no"


def _listed(names: Iterable[str]) -> str | None:
    return ",".join(names) or None
