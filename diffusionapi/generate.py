"""One picture without a server: `python -m diffusionapi.generate --prompt "…" --out cat.png`.

The same request as `POST /txt2img` can come as JSON on standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from diffusionapi import files
from diffusionapi.api.primary import control, translate
from diffusionapi.api.primary.img2img_schemas import Size
from diffusionapi.api.primary.schemas import Txt2ImgRequest
from diffusionapi.api.validation import as_refusal
from diffusionapi.blobs.open import open_uploads
from diffusionapi.catalog.catalog import Catalog
from diffusionapi.core.events import Failed, Phase, Step
from diffusionapi.core.request import Mask, Source
from diffusionapi.engine.build import build, with_engine
from diffusionapi.engine.engine import Rendered
from diffusionapi.engine.environment import settle
from diffusionapi.errors import BadJson, BadRequest, Error
from diffusionapi.intake.given import file_in, is_url
from diffusionapi.settings import Settings

if TYPE_CHECKING:
    from diffusionapi.blobs.uploads import Uploads
    from diffusionapi.core.request import Control, GenerationRequest
    from diffusionapi.intake.pictures import Kind


def get_model_labels() -> dict[str, str]:
    """Name -> label of every model that has one, in the order of the labels."""
    return Catalog(Settings.load()).labels


def render(request: GenerationRequest, settings: Settings) -> Rendered:
    """Run one request to its end in this process, with a progress bar when standard error is a terminal."""
    from tqdm import tqdm

    settle()
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
        with TemporaryDirectory() as folder:
            # What it starts from is of no use to anybody afterwards.
            settings = settings.model_copy(update={"blobs": "file:", "uploads_dir": Path(folder)})
            chosen = translate.choose(body, Catalog(settings), settings)
            beginning = _beginning(options, body, settings)
            controls = _controls(chosen, beginning, settings)
            ticket = translate.ticket(body, chosen, settings, beginning, controls)
            rendered = render(ticket.generation, settings)
        out = options.out or Path(f"{ticket.id}.{ticket.generation.file_type}")
        files.write(out.absolute(), rendered.content, durable=False)
    except Error as error:
        sys.exit(error.sentence)
    except KeyboardInterrupt:
        print("Stopped", file=sys.stderr)  # noqa: T201
        sys.exit(130)  # what a shell expects of a program that was interrupted
    if asked.engine is None and settings.engine == "fake":
        print(_NO_MODEL, file=sys.stderr)  # noqa: T201
    for notice in (*ticket.notices, *(rendered.sampled.notices if rendered.sampled else ())):
        print(notice, file=sys.stderr)  # noqa: T201
    print(f"{out}  {rendered.width}x{rendered.height}  seed {ticket.generation.seed}")  # noqa: T201


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


def _beginning(
    options: argparse.Namespace, body: Txt2ImgRequest, settings: Settings
) -> translate.Beginning | None:
    """What --image, --mask and --strength say. Without a size the picture's own is kept, as far as may be."""
    if options.image is None:
        if options.mask is not None or options.strength is not None:
            raise Error("--mask and --strength go with --image")
        return None
    if body.hires is not None and body.hires.enabled:
        raise BadRequest("hires", "a picture that starts from another has no second pass")
    if not 0 <= (strength := _USUAL_STRENGTH if options.strength is None else options.strength) <= 1:
        raise Error(f"--strength: must be from 0 to 1, got {strength:g}")
    uploads = open_uploads(settings)
    source = _upload(options.image, "RGB", "--image", uploads, settings)
    mask = None
    if options.mask is not None:
        white = _upload(options.mask, "L", "--mask", uploads, settings)
        mask = Mask(white, _USUAL_BLUR, invert=False, fill="original", only_masked=False, padding=0)
    width, height = uploads.size(source)
    scale = min(1.0, settings.max_side / max(width, height))
    asked = body.model_fields_set
    size = (
        body.width if "width" in asked else round(width * scale),
        body.height if "height" in asked else round(height * scale),
    )
    size = translate.size(Size.model_construct(width=size[0], height=size[1]), settings.max_side)
    return translate.Beginning(Source(source, strength, "stretch", mask), size, {}, ())


_USUAL_STRENGTH, _USUAL_BLUR = 0.75, 4.0


def _controls(
    chosen: translate.Chosen, beginning: translate.Beginning | None, settings: Settings
) -> tuple[Control, ...]:
    """With the pictures that --control names, or that are in the request; nothing is fetched from URLs."""
    uploads = open_uploads(settings)

    async def take(given: str, field: str) -> str:
        if is_url(given):
            raise BadRequest(field, "give the picture itself as base64, or its file by --control")
        content = file_in(given, field, settings.max_upload_mb * 2**20)
        return _kept(content, "RGB", field, uploads, settings)

    source = beginning.source if beginning else None
    return asyncio.run(control.controls(chosen.nets, source, take))


def _upload(file: Path, kind: Kind, field: str, uploads: Uploads, settings: Settings) -> str:
    return _kept(_read(file, field), kind, field, uploads, settings)


def _read(file: Path, field: str) -> bytes:
    content = files.read(file.absolute())
    if content is None:
        raise Error(f"{field} {file}: there is no such file")
    return content


def _kept(content: bytes, kind: Kind, field: str, uploads: Uploads, settings: Settings) -> str:
    from diffusionapi.intake.pictures import remade

    return uploads.put(remade(content, kind, field, settings.max_upload_pixels))


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
    parser.add_argument("--image", type=Path, help="PNG, JPEG or WebP to start from")
    parser.add_argument("--mask", type=Path, help="picture whose white part is painted, the rest kept")
    parser.add_argument("--strength", type=float, help="how much may change, 0 to 1; default: 0.75")
    parser.add_argument("--lora", action="append", dest="loras", metavar="NAME[:SCALE]")
    parser.add_argument("--control", type=Path, help="picture that a ControlNet looks at; default: --image")
    parser.add_argument("--control-model", metavar="NAME", help="the ControlNet; default: one for the hint")
    parser.add_argument("--hint", help="what is read from the picture first, such as canny")
    parser.add_argument("--control-weight", type=float, help="how strongly it acts; default: 1")
    parser.add_argument("--self-attention", type=float, metavar="SCALE", help="guidance; usual: 0.75")
    parser.add_argument("--tiling", choices=("horizontal", "both"), help="along which axes edges fit")
    parser.add_argument("--vae", metavar="NAME", help="in place of the model's own")
    parser.add_argument("--upscale", metavar="SCALE[:UPSCALER]", help="how many times larger, 1 to 4")
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
    body = {name: value for name, value in vars(options).items() if name not in _FILES and value is not None}
    if options.loras:
        body["loras"] = [_lora(one) for one in options.loras]
    if options.upscale:
        scale, _, upscaler = options.upscale.partition(":")
        body["upscale"] = {"scale": scale, "upscaler": upscaler or None}
    if options.control or options.control_model or options.hint:
        body["controls"] = [_control(options)]
    elif options.control_weight is not None:
        raise Error("--control-weight goes with --control, --control-model or --hint")
    return body


_FILES = ("out", "image", "mask", "strength", "control", "control_model", "control_weight", "hint")
"""Options that are not in the body of a request by themselves."""


def _control(options: argparse.Namespace) -> dict[str, Any]:
    given = base64.b64encode(_read(options.control, "--control")).decode() if options.control else None
    return {
        "model": options.control_model,
        "image": given,
        "hint": options.hint,
        "weight": options.control_weight,
    }


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
