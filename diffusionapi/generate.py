"""One picture without a server: `python -m diffusionapi.generate --prompt "…" --out cat.png`.

The same request as `POST /txt2img` can come as JSON on standard input.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from diffusionapi import files
from diffusionapi.api.primary import translate
from diffusionapi.api.primary.schemas import Txt2ImgRequest
from diffusionapi.api.validation import as_refusal
from diffusionapi.catalog.catalog import Catalog
from diffusionapi.core.events import Failed, Phase, Step
from diffusionapi.engine.build import build, with_engine
from diffusionapi.engine.engine import Rendered
from diffusionapi.errors import BadJson, Error
from diffusionapi.settings import Settings

if TYPE_CHECKING:
    from diffusionapi.core.request import GenerationRequest


def get_model_labels() -> dict[str, str]:
    """Name -> label of every model that has one, in the order of the labels."""
    return Catalog(Settings.load()).labels


def render(request: GenerationRequest, settings: Settings) -> Rendered:
    """Run one request to its end in this process, with a progress bar on standard error."""
    from tqdm import tqdm

    with closing(build(settings)) as engine, tqdm(total=100, unit="%", bar_format=_BAR) as bar:
        engine.admit("picture", request)
        while True:
            for _, event in engine.step(1.0):
                match event:
                    case Phase(name=name):
                        bar.set_description(name)
                    case Step(fraction=fraction):
                        bar.update(round(100 * fraction) - bar.n)
                    case Rendered():
                        return event
                    case Failed(failure=failure):
                        raise Error(failure.sentence)


_BAR = "{desc}: {percentage:3.0f}%|{bar:30}| {elapsed}"


def main() -> None:
    options = _parser().parse_args()
    try:
        settings = with_engine(Settings.load())
        body = _request(_asked_for(options), options.out)
        ticket = translate.ticket(body, Catalog(settings), settings)
        rendered = render(ticket.request, settings)
        out = options.out or Path(f"{ticket.id}.{ticket.request.file_type}")
        files.write(out.absolute(), rendered.content, durable=False)
    except Error as error:
        sys.exit(error.sentence)
    print(f"{out}  {rendered.width}x{rendered.height}  seed {ticket.request.seed}")  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m diffusionapi.generate",
        description="Render one picture without a server. Without --prompt the request is read as JSON, "
        "as for POST /txt2img, from standard input.",
    )
    parser.add_argument("--prompt")
    parser.add_argument("--negative-prompt", dest="negative_prompt")
    parser.add_argument("--out", type=Path, help="file to write, .png or .jpg; default: a new name here")
    parser.add_argument("--model")
    for name, kind in (("steps", int), ("width", int), ("height", int), ("seed", int), ("cfg-scale", float)):
        parser.add_argument(f"--{name}", type=kind, dest=name.replace("-", "_"))
    parser.add_argument("--sampler", dest="sampler_name")
    parser.add_argument("--schedule", dest="scheduler_type")
    parser.add_argument("--lora", action="append", dest="loras", metavar="NAME[:SCALE]")
    return parser


def _asked_for(options: argparse.Namespace) -> dict[str, Any]:
    """The body of a request, from the options or from standard input."""
    if options.prompt is None:
        try:
            body = json.load(sys.stdin)
        except ValueError as error:
            raise BadJson(f"Standard input is not valid JSON: {error}") from error
        if not isinstance(body, dict):
            raise BadJson("Standard input must be a JSON object, as for POST /txt2img")
        return body
    body = {name: value for name, value in vars(options).items() if name != "out" and value is not None}
    if options.loras:
        body["loras"] = [_lora(one) for one in options.loras]
    return body


def _lora(text: str) -> dict[str, str]:
    name, colon, scale = text.rpartition(":")
    return {"name": name, "scale": scale} if colon else {"name": text}


def _request(body: dict[str, Any], out: Path | None) -> Txt2ImgRequest:
    if out is not None and out.suffix:
        body = body | {"fileType": out.suffix.removeprefix(".")}
    try:
        return Txt2ImgRequest.model_validate(body)
    except ValidationError as error:
        raise as_refusal(error.errors(), inside=0) from error


if __name__ == "__main__":
    main()
