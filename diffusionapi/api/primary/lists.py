"""The routes that list what requests may name."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from diffusionapi.api.dialect import dialect_router
from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.primary import listing, lists_schemas
from diffusionapi.api.primary.face import BAD_PARAMETER, face, failures
from diffusionapi.core.hints import HINTS
from diffusionapi.core.sampling import SAMPLERS, SCHEDULES

router = dialect_router(face, tags=[])

Details = Annotated[bool, Query(description="Also say what each is, from a look at its files")]


@router.get("/models", summary="Installed models", responses=failures(_422=BAD_PARAMETER))
def list_models(
    core: Core, details: Details = False
) -> lists_schemas.DetailedModelsResponse | lists_schemas.ModelsResponse:
    catalog = core.catalog
    if details:
        return lists_schemas.DetailedModelsResponse(models=listing.models(catalog))
    labels = catalog.labels
    models = [
        lists_schemas.ModelInfo(name=one.name, label=labels.get(one.name, one.name)) for one in catalog.models
    ]
    return lists_schemas.ModelsResponse(models=models)


@router.get("/models/aliases", summary="Labels that requests may use for models", responses=failures())
def list_model_aliases(core: Core) -> lists_schemas.ModelAliasesResponse:
    models = [lists_schemas.ModelInfo(name=name, label=label) for name, label in core.catalog.labels.items()]
    return lists_schemas.ModelAliasesResponse(models=models, message=f"{len(models)} models have a label")


@router.get("/loras", summary="Installed LoRAs", responses=failures(_422=BAD_PARAMETER))
def list_loras(
    core: Core, details: Details = False
) -> lists_schemas.DetailedLorasResponse | lists_schemas.LorasResponse:
    if details:
        return lists_schemas.DetailedLorasResponse(loras=listing.loras(core.catalog))
    return lists_schemas.LorasResponse(
        loras=[lists_schemas.LoraInfo(name=one.name, scale=1.0) for one in core.catalog.loras]
    )


@router.get(
    "/upscalers", summary="Upscalers for the hires fix, and for larger pictures", responses=failures()
)
def list_upscalers(core: Core) -> lists_schemas.UpscalersResponse:
    folder = core.settings.upscalers_dir
    upscalers = [
        lists_schemas.UpscalerInfo(
            name=one.name, path=str(folder / one.path.name) if one.path else "internal"
        )
        for one in core.catalog.upscalers
    ]
    return lists_schemas.UpscalersResponse(upscalers=upscalers)


@router.get("/sampling_methods", summary="Samplers and schedule types", responses=failures())
async def list_sampling_methods() -> lists_schemas.SamplingMethodsResponse:
    return lists_schemas.SamplingMethodsResponse(
        sampling_methods=list(SAMPLERS), scheduler_types=list(SCHEDULES)
    )


@router.get("/controlnets", summary="Installed ControlNets", responses=failures(_422=BAD_PARAMETER))
def list_controlnets(
    core: Core, details: Details = False
) -> lists_schemas.DetailedControlNetsResponse | lists_schemas.ControlNetsResponse:
    if details:
        return lists_schemas.DetailedControlNetsResponse(controlnets=listing.controlnets(core.catalog))
    return lists_schemas.ControlNetsResponse(
        controlnets=[listing.controlnet(one) for one in core.catalog.controlnets]
    )


@router.get("/hints", summary="What can be read from pictures for ControlNets", responses=failures())
def list_hints(core: Core) -> lists_schemas.HintsResponse:
    problems = {hint: core.catalog.hint_ready(hint) for hint in HINTS}
    return lists_schemas.HintsResponse(
        hints=[
            lists_schemas.HintInfo(name=hint, ready=problem is None, problem=problem)
            for hint, problem in problems.items()
        ]
    )


@router.get("/vaes", summary="Installed VAEs", responses=failures(_422=BAD_PARAMETER))
def list_vaes(
    core: Core, details: Details = False
) -> lists_schemas.DetailedVaesResponse | lists_schemas.VaesResponse:
    if details:
        return lists_schemas.DetailedVaesResponse(vaes=listing.vaes(core.catalog))
    return lists_schemas.VaesResponse(
        vaes=[lists_schemas.VaeInfo(name=one.name) for one in core.catalog.vaes]
    )


@router.get("/embeddings", summary="Installed textual inversions", responses=failures())
def list_embeddings(core: Core) -> lists_schemas.EmbeddingsResponse:
    names = [one.name for one in core.catalog.embeddings]
    return lists_schemas.EmbeddingsResponse(
        embeddings=[lists_schemas.EmbeddingInfo(name=name) for name in names]
    )
