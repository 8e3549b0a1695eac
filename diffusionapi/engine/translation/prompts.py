"""Prompts to English: what is in another language is translated, and all else stays to the letter."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from diffusionapi.catalog import translators
from diffusionapi.engine.translation.model import load
from diffusionapi.errors import BadRequest
from diffusionapi.languages.reading import read

if TYPE_CHECKING:
    from concurrent.futures import Future

    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.catalog.translators import Translator
    from diffusionapi.engine.translation.model import Model

_REMEMBERED = 64
"""Prompts: one request may ask for several pictures of the same."""

Prompts = tuple[str, ...]


class Prompter:
    """Translates one after the other in a thread of its own, with the model that was used last."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="translation")
        self._loaded: tuple[Translator, Model] | None = None
        self._known: OrderedDict[tuple[Prompts, tuple[Translator, ...]], Prompts] = OrderedDict()

    def english(self, prompts: Prompts) -> Future[Prompts]:
        """Seconds later, the prompts in English. BadRequest if nothing installed knows their language."""
        return self._thread.submit(self._english, prompts)

    def forget(self) -> None:
        """Let go of the model's memory."""
        self._loaded = None

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _english(self, prompts: Prompts) -> Prompts:
        if why := self._catalog.untranslatable(*prompts):
            raise BadRequest("prompt", why)
        installed = self._catalog.translators
        asked = prompts, tuple(installed)
        if asked not in self._known:
            self._known[asked] = self._translated(prompts, installed)
        self._known.move_to_end(asked)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return self._known[asked]

    def _translated(self, prompts: Prompts, installed: list[Translator]) -> Prompts:
        names = [one.name for one in self._catalog.embeddings]
        readings = read(prompts, names=names, rather=translators.known(installed))
        return tuple(
            "".join(
                self._told(one.text, one.language, installed) if one.language else one.text for one in reading
            )
            for reading in readings
        )

    def _told(self, text: str, language: str, installed: list[Translator]) -> str:
        translator = translators.choose(installed, language)
        if translator is None:
            raise BadRequest("prompt", f"no translator of the language {language!r} is installed any more")
        return self._model(translator).english(text, language)

    def _model(self, translator: Translator) -> Model:
        loaded = self._loaded
        if loaded is None or loaded[0] != translator:
            self._loaded = None
            loaded = self._loaded = translator, load(translator)
        return loaded[1]
