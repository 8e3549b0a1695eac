"""From the body of a request to what the core is asked for, up to the pictures that come with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from diffusionapi.api.v3 import controlling, naming
from diffusionapi.api.v3.beginning import controlled_strength
from diffusionapi.api.v3.enhancing import enhanced
from diffusionapi.api.v3.generation_schemas import MAX_SEED, Controlled, Img2Img
from diffusionapi.catalog import matching
from diffusionapi.catalog.choosing import best_upscaler, family_of
from diffusionapi.catalog.matching import Named
from diffusionapi.core import diffusers_names
from diffusionapi.core import request as core
from diffusionapi.core.request import GenerationRequest, Hires, Upscale
from diffusionapi.core.sampling import FEWEST_STEPS
from diffusionapi.errors import BadRequest

if TYPE_CHECKING:
    from diffusionapi.api.v3.beginning import Beginning
    from diffusionapi.api.v3.controlling import Net
    from diffusionapi.api.v3.generation_schemas import BlankKind, Generation
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.catalog.scan import Installed
    from diffusionapi.core.diffusers_names import Resolved
    from diffusionapi.settings import Settings

SELF_ATTENTION = 0.75
"""The scale that its authors use (Hong et al. 2023, arXiv:2210.00939)."""
HIRES_SCALE, HIRES_STRENGTH = 1.5, 0.5
_UNUSED_QUALITY = 85
"""Of a JPEG; the pictures are PNGs."""
_NO_CHECKER = "No safety checker is installed, so nothing looked at the pictures"
_BLANKS: dict[BlankKind, core.Blanking] = {
    "sensitive_content_text": "text",
    "blur": "blurred",
    "pixelate": "pixelated",
    "black": "black",
}
Face = Literal["core", "inpaint", "dreambooth"]
"""Which of the three kinds of `meta` a route answers."""


@dataclass(frozen=True, slots=True)
class Route:
    """What routes of the same fields do differently."""

    face: Face
    model_required: bool
    fetch: str
    """Where its results are asked for."""


CORE = Route("core", model_required=False, fetch="/api/v3/fetch/")
INPAINT = Route("inpaint", model_required=False, fetch="/api/v3/fetch/")
COMMUNITY = Route("dreambooth", model_required=True, fetch="/api/v3/dreambooth/fetch/")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a request names, or leaves open, as it stands here."""

    model: Installed
    prompt: str
    negative_prompt: str
    scheduler: Resolved
    loras: tuple[core.Lora, ...]
    vae: Installed | None
    nets: tuple[Net, ...]
    upscaler: str
    safety: core.Safety
    blanking: core.Blanking
    notices: tuple[str, ...]


def choose(body: Generation, route: Route, catalog: Catalog, settings: Settings) -> Chosen:
    """An error that names the field for what cannot be drawn; looks at files."""
    _check_size(body, settings.max_side)
    subject = naming.subject(body.model_id, catalog, required=route.model_required)
    loras = naming.loras(body, subject, catalog)
    prompt, negative = naming.prompt(body, subject, catalog), body.negative_prompt
    if body.enhance_prompt and not body.multi_lingual:  # beside them nobody could tell the prompts' language
        prompt, negative = enhanced(prompt, negative)
    vae = naming.vae(body, catalog)
    nets = controlling.nets(body, catalog, family_of(catalog, subject.model))
    matching.check(
        catalog,
        Named(subject.model, naming.MODEL),
        None,
        [named for named, lora in loras if lora.scale],
        vae=Named(vae, "vae") if vae else None,
        controls=[Named(one.what, controlling.NETS) for one in nets],
    )
    unclear = None
    if body.multi_lingual:
        unclear = catalog.check_languages({"prompt": prompt, "negative_prompt": negative})
    scheduler, notice = _scheduler(body)
    safety = _safety(body, subject.model, catalog, settings)
    return Chosen(
        subject.model,
        prompt,
        negative,
        scheduler,
        tuple(lora for _, lora in loras),
        vae,
        nets,
        best_upscaler(catalog),
        safety,
        _BLANKS[body.safety_checker_type or ("sensitive_content_text" if route is COMMUNITY else "black")],
        tuple(
            filter(
                None, (scheduler.notice, notice, unclear, _unchecked(body, subject.model, catalog, safety))
            )
        ),
    )


def request(body: Generation, chosen: Chosen, begun: Beginning, seed: int) -> GenerationRequest:
    width, height = (side // 8 * 8 for side in (body.width, body.height))
    hires = Hires(HIRES_SCALE, chosen.upscaler, body.num_inference_steps, HIRES_STRENGTH)
    return GenerationRequest(
        prompt=chosen.prompt,
        negative_prompt=chosen.negative_prompt,
        model=chosen.model.name,
        width=width,
        height=height,
        steps=body.num_inference_steps,
        guidance=body.guidance_scale,
        sampler=chosen.scheduler.sampler,
        schedule=chosen.scheduler.schedule,
        seed=seed % (MAX_SEED + 1),
        file_type="png",
        quality=_UNUSED_QUALITY,
        clip_skip=body.clip_skip,
        loras=chosen.loras,
        hires=hires if body.highres_fix else None,
        refiner=None,
        source=begun.source,
        safety=chosen.safety,
        blanking=chosen.blanking,
        controls=begun.controls,
        self_attention=SELF_ATTENTION if body.self_attention else 0.0,
        tiling="horizontal" if body.panorama else "none",
        vae=chosen.vae.name if chosen.vae else None,
        upscale=Upscale(chosen.upscaler, body.upscale, faces=False) if body.upscale > 1 else None,
        translate=body.multi_lingual,
    )


def _check_size(body: Generation, most: int) -> None:
    for name in ("width", "height"):
        if getattr(body, name) > most:
            raise BadRequest(name, f"at most {most} on this server (MAX_SIDE)")
    begins = isinstance(body, Img2Img) or (
        isinstance(body, Controlled) and controlled_strength(body) is not None
    )
    if body.highres_fix and begins:
        raise BadRequest(
            "highres_fix",
            "a picture that begins with another has no second pass; ask for the size, or upscale",
        )


def _scheduler(body: Generation) -> tuple[Resolved, str | None]:
    found = diffusers_names.resolve(
        body.scheduler, karras=body.use_karras_sigmas, algorithm=body.algorithm_type
    )
    fewest = FEWEST_STEPS.get(found.sampler, 1)
    if body.num_inference_steps >= fewest:
        return found, None
    plain = diffusers_names.resolve("EulerDiscreteScheduler", karras=body.use_karras_sigmas, algorithm=None)
    few = f"{found.used} needs at least {fewest} steps; {plain.used} was used"
    return plain, "; ".join(filter(None, (found.notice, few)))


def _safety(body: Generation, model: Installed, catalog: Catalog, settings: Settings) -> core.Safety:
    wanted = core.safety(settings.safety, asked=body.safety_checker)
    if wanted == "required" and catalog.safety_checker(model) is None:
        raise BadRequest(
            "safety_checker", "none is installed, and this server shows no picture without (SAFETY)"
        )
    return wanted


def _unchecked(body: Generation, model: Installed, catalog: Catalog, safety: core.Safety) -> str | None:
    """For who asks for a check in so many words, where nothing can check."""
    asked = "safety_checker" in body.model_fields_set and safety != "off"
    return _NO_CHECKER if asked and catalog.safety_checker(model) is None else None
