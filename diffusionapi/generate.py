"""One picture without a server: `python -m diffusionapi.generate --prompt "…" --out cat.png`.

The same request as `POST /txt2img` can come as JSON on standard input.
"""

from __future__ import annotations

import argparse
import json
import os
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
    """Run one request to its end in this process, with a progress bar when standard error is a terminal."""
    from tqdm import tqdm

    with closing(build(settings)) as engine, tqdm(total=100, bar_format=_BAR, disable=None) as bar:
        engine.admit("picture", request)
        while True:
            for _, event in engine.step(1.0):
                match event:
                    case Phase(name=name):
                        bar.set_description_str(name)
                    case Step(fraction=fraction):
                        bar.update(round(100 * fraction) - bar.n)
                    case Rendered():
                        return event
                    case Failed(failure=failure):
                        raise Error(failure.sentence)


_BAR = "{desc} {percentage:3.0f}%|{bar:30}| {elapsed}"


def main() -> None:
    options = _options()
    try:
        _check_out(options.out)
        asked = Settings.load()
        settings = with_engine(asked)
        body = _request(_asked_for(options), options.out)
        ticket = translate.ticket(body, Catalog(settings), settings)
        rendered = render(ticket.request, settings)
        out = options.out or Path(f"{ticket.id}.{ticket.request.file_type}")
        files.write(out.absolute(), rendered.content, durable=False)
    except Error as error:
        sys.exit(error.sentence)
    except KeyboardInterrupt:
        print("Stopped", file=sys.stderr)  # noqa: T201
        sys.exit(130)  # what a shell expects of a program that was interrupted
    if asked.engine is None and settings.engine == "fake":
        print(_NO_MODEL, file=sys.stderr)  # noqa: T201
    for notice in (*ticket.notices, *rendered.sampled.notices):
        print(notice, file=sys.stderr)  # noqa: T201
    print(f"{out}  {rendered.width}x{rendered.height}  seed {ticket.request.seed}")  # noqa: T201


_NO_MODEL = (
    "No model is installed, so the fake engine drew this; "
    ".venv/bin/python -m diffusionapi.models pull org/name fetches one"
)


def _options() -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args()
    if options.prompt is None and sys.stdin.isatty():
        parser.error("--prompt is needed, or the request as JSON on standard input")
    return options


def _check_out(out: Path | None) -> None:
    """Before minutes are spent on a picture that could not be written."""
    if out is None:
        return
    folder = out.absolute().parent
    if not folder.is_dir():
        raise Error(f"--out {out}: there is no folder {folder}")
    if out.is_dir():
        raise Error(f"--out {out}: this is a folder; name a file in it, such as {out / 'picture.png'}")
    if not os.access(folder, os.W_OK):
        raise Error(f"--out {out}: {folder} cannot be written to by this user")


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
    for name, kind in (
        ("steps", int),
        ("width", int),
        ("height", int),
        ("seed", int),
        ("cfg-scale", float),
        ("clip-skip", int),
    ):
        parser.add_argument(f"--{name}", type=kind, dest=name.replace("-", "_"))
    parser.add_argument("--sampler", "--sampler-name", dest="sampler_name")
    parser.add_argument("--schedule", "--scheduler-type", dest="scheduler_type")
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
