"""`python -m diffusionapi`: say where the server can be reached, then serve."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import uvicorn

from diffusionapi import logs, start
from diffusionapi.catalog.catalog import BUNDLED_MODEL, Catalog
from diffusionapi.errors import Misconfigured

if TYPE_CHECKING:
    from diffusionapi.settings import Settings

_PULL = ".venv/bin/python -m diffusionapi.models pull org/name"
_PULL_FULL = _PULL.replace("org/name", "stable-diffusion-v1-5/stable-diffusion-v1-5")


def banner(settings: Settings) -> str:
    """The lines a new user needs."""
    url = start.url_of(settings)
    lines = (
        ("Server:", url),
        ("Docs:", f"{url}/docs"),
        ("Engine:", engine_line(settings)),
        ("Picture:", picture_line(url)),
    )
    return "\n" + "".join(f"  {name:9} {said}\n" for name, said in lines)


def engine_line(settings: Settings) -> str:
    """What renders; settings with an engine named."""
    models = len([one for one in Catalog(settings).models if one.path])
    installed = f"{models or 'no'} model{'' if models == 1 else 's'} installed"
    if settings.engine == "fake":
        way_out = "ENGINE=diffusers renders for real" if models else f"{_PULL} fetches one, then start again"
        said = f"fake: test pictures, knows nothing of prompts; {installed}; {way_out}"
    elif models:
        said = f"diffusers; {installed}; {_default(settings)}"
    else:
        said = f"diffusers; {installed}; {_PULL} fetches one"
    if settings.workers == 0:
        said += "; WORKERS=0, so jobs wait for .venv/bin/python -m diffusionapi.worker"
    return said


def _default(settings: Settings) -> str:
    """The model of a request that names none."""
    name = Catalog(settings).default_model("DEFAULT_MODEL").name
    if name != BUNDLED_MODEL:
        return f"{name} when a request names none"
    return f"{name}, small and of one small world, when a request names none; {_PULL_FULL} fetches a full one"


def picture_line(url: str) -> str:
    """One line for sh: submit, wait for the end of the events, fetch. It stops at the first that fails."""
    curl = "curl -sSk" if url.startswith("https:") else "curl -sS"
    return (
        f"""id=$({curl}f {url}/txt2img -d '{{"prompt":"a red house in a meadow at sunset, mountains"}}' """
        f"""| cut -d'"' -f4 | grep .) && {curl}N {url}/queue/$id/events | tail -n 4 """
        f"""&& {curl}f -o picture.jpg {url}/images/$id.jpg && echo picture.jpg"""
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m diffusionapi", description="Start the server.")
    parser.add_argument("--check", action="store_true", help="only say whether settings and port are right")
    options = parser.parse_args()
    try:
        settings = start.load(tls=True)
    except Misconfigured as error:
        sys.exit(error.sentence)
    if problem := start.address_problem(settings, start.url_of(settings)):
        sys.exit(problem)
    if options.check:
        for doubt in start.doubts(settings):
            print(doubt)  # noqa: T201
        print(f"Settings are right; port {settings.port} is free.")  # noqa: T201
        return
    settings = start.free_port(settings)
    print(banner(settings), flush=True)  # noqa: T201
    logs.configure(settings.log_level, settings.log_format)
    certificate, key = settings.tls_files or (None, None)
    uvicorn.run(
        "diffusionapi.main:app",
        host=settings.host,
        port=settings.port,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        log_config=None,
        # It would hold up everybody meanwhile: a quarter of a second for a large picture in base64.
        ws_per_message_deflate=False,
    )


if __name__ == "__main__":
    main()
