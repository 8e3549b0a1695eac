"""What this server can do, for clients that adapt to it; and its document in YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.schemas import OpenAPIResponse

from diffusionapi import __version__
from diffusionapi.core.request import SafetyPolicy
from diffusionapi.core.sampling import SAMPLERS, SCHEDULES
from diffusionapi.core.work import MODES, Mode

if TYPE_CHECKING:
    from diffusionapi.service import Service

router = APIRouter(tags=["capabilities"])


class SafetyCapability(BaseModel):
    policy: SafetyPolicy = Field(description="Setting SAFETY of the server")
    checker: bool = Field(
        description="Is one installed for models without their own? Without any, nothing is checked, "
        "and `X-Safety-Checked` says so"
    )
    models: list[str] = Field(description="Models whose pictures can be checked")


class Access(BaseModel):
    public: bool = Field(description="The task API asks for no token")
    sign_up: bool = Field(description="Anybody may sign up")


class Limits(BaseModel):
    max_side: int = Field(description="Pixels a side of a picture")
    max_body_mb: int
    max_upload_mb: int
    max_upload_pixels: int
    result_seconds: float = Field(description="For how long a finished job waits to be fetched")


class Capabilities(BaseModel):
    version: str
    engine: Literal["diffusers", "fake"]
    dialects: list[str]
    modes: list[Mode] = Field(description="Kinds of jobs")
    samplers: list[str]
    schedulers: list[str] = Field(description="Schedule types")
    safety: SafetyCapability
    access: Access
    limits: Limits


@router.get("/capabilities", summary="What can this server do?")
def capabilities(request: Request) -> Capabilities:
    service: Service = request.app.state.service
    settings, catalog = service.settings, service.catalog
    return Capabilities(
        version=__version__,
        engine=settings.engine or "diffusers",
        dialects=request.app.state.dialects,
        modes=list(MODES),
        samplers=list(SAMPLERS),
        schedulers=list(SCHEDULES),
        safety=SafetyCapability(
            policy=settings.safety,
            checker=catalog.safety_checker(None) is not None,
            models=[one.name for one in catalog.models if catalog.safety_checker(one) is not None],
        ),
        access=Access(public=settings.enable_public_access, sign_up=settings.enable_signup),
        limits=Limits(
            max_side=settings.max_side,
            max_body_mb=settings.max_body_mb,
            max_upload_mb=settings.max_upload_mb,
            max_upload_pixels=settings.max_upload_pixels,
            result_seconds=settings.job_ttl,
        ),
    )


@router.get("/openapi.yml", include_in_schema=False)
def openapi_yml(request: Request) -> OpenAPIResponse:
    return OpenAPIResponse(request.app.openapi(), media_type="application/yaml")
