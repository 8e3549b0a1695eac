"""What is installed, as the lists of the primary dialect say it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from diffusionapi.weights.families import Family


class HelloResponse(BaseModel):
    ok: bool


class ModelInfo(BaseModel):
    name: str
    label: str


class ModelDetails(ModelInfo):
    """Of `details=true`."""

    family: Family | None = Field(description="null for a model that cannot be used, or is built in")
    prediction: str | None = Field(description="What it predicts: epsilon or v_prediction")
    size_bytes: int | None = Field(description="Of its weights on disk")
    problem: str | None = Field(description="Why it cannot be used")


class ModelsResponse(BaseModel):
    status: Literal["success"] = "success"
    models: list[ModelInfo]


class DetailedModelsResponse(BaseModel):
    status: Literal["success"] = "success"
    models: list[ModelDetails]


class ModelAliasesResponse(ModelsResponse):
    message: str


class LoraInfo(BaseModel):
    name: str
    scale: float


class LoraDetails(LoraInfo):
    """Of `details=true`."""

    families: list[Family] = Field(description="What it may be for; none for one that cannot be used")
    size_bytes: int | None = Field(description="Of its file")
    problem: str | None = Field(description="Why it cannot be used")


class LorasResponse(BaseModel):
    status: Literal["success"] = "success"
    loras: list[LoraInfo]


class DetailedLorasResponse(BaseModel):
    status: Literal["success"] = "success"
    loras: list[LoraDetails]


class UpscalerInfo(BaseModel):
    name: str
    path: str = Field(description="File of the upscaler; `internal` for one that is built in")


class UpscalersResponse(BaseModel):
    status: Literal["success"] = "success"
    upscalers: list[UpscalerInfo]


class SamplingMethodsResponse(BaseModel):
    status: Literal["success"] = "success"
    sampling_methods: list[str]
    scheduler_types: list[str]


class ControlNetInfo(BaseModel):
    name: str
    hint: str | None = Field(description="What it looks at, as its name says; null where it says nothing")


class ControlNetDetails(ControlNetInfo):
    """Of `details=true`."""

    family: Family | None = Field(description="What it was made for; null for one that cannot be used")
    size_bytes: int | None = Field(description="Of its weights on disk")
    problem: str | None = Field(description="Why it cannot be used")


class ControlNetsResponse(BaseModel):
    status: Literal["success"] = "success"
    controlnets: list[ControlNetInfo]


class DetailedControlNetsResponse(BaseModel):
    status: Literal["success"] = "success"
    controlnets: list[ControlNetDetails]


class HintInfo(BaseModel):
    name: str
    ready: bool = Field(description="Can it be read from pictures here?")
    problem: str | None = Field(description="What is missing for that")


class HintsResponse(BaseModel):
    status: Literal["success"] = "success"
    hints: list[HintInfo]


class VaeInfo(BaseModel):
    name: str


class VaeDetails(VaeInfo):
    """Of `details=true`."""

    problem: str | None = Field(description="Why it cannot be used")


class VaesResponse(BaseModel):
    status: Literal["success"] = "success"
    vaes: list[VaeInfo]


class DetailedVaesResponse(BaseModel):
    status: Literal["success"] = "success"
    vaes: list[VaeDetails]


class EmbeddingInfo(BaseModel):
    name: str = Field(description="As prompts name it")


class EmbeddingsResponse(BaseModel):
    status: Literal["success"] = "success"
    embeddings: list[EmbeddingInfo]
