"""What the fake engine finds around it: pictures that clients gave, and what is installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.blobs.open import open_uploads
from diffusionapi.catalog.catalog import Catalog
from diffusionapi.errors import BadRequest
from diffusionapi.languages.reading import languages_of

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.blobs.uploads import Uploads
    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.settings import Settings
    from diffusionapi.weights.families import Family, Prediction


@dataclass(frozen=True, slots=True)
class Props:
    uploads: Uploads
    catalog: Catalog
    trainings: Path
    """The folder of trainings that are not done."""
    checks: bool = False
    """A safety checker is installed."""

    @classmethod
    def of(cls, settings: Settings) -> Props:
        catalog = Catalog(settings)
        return cls(
            open_uploads(settings, patient=True),
            catalog,
            settings.path(settings.trainings_dir),
            checks=catalog.safety_checker(None) is not None,
        )

    def kind_of(self, model: str) -> tuple[Family, Prediction]:
        """The family of a model that can be taught; the one that is built in passes for an SD 1."""
        found = self.catalog.found_model(self.catalog.model(model, "model"))
        if found is None:
            return "sd1", "epsilon"
        if found.family == "refiner":
            raise BadRequest("model", f"{model!r} is the SDXL refiner; teach the model it goes with")
        return found.family, found.prediction

    def translated(self, request: GenerationRequest) -> bool:
        """Whether its prompts are to be told in English, and are not; BadRequest if nothing that is installed
        could do that."""
        if not request.translate:
            return False
        prompts = request.prompt, request.negative_prompt
        if why := self.catalog.untranslatable(*prompts):
            raise BadRequest("prompt", why)
        return bool(languages_of(prompts))
