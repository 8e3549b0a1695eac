"""`python -m diffusionapi`: say where the server can be reached, then serve."""

from __future__ import annotations

import argparse
import socket
import sys

import uvicorn

from diffusionapi.errors import Misconfigured
from diffusionapi.settings import Settings


def port_problem(host: str, port: int) -> str | None:
    """Why the server cannot listen there, with the way out; None when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            way_out = f"Choose another: PORT={port + 1} ./init.sh"
            return f"Cannot listen on {host} port {port}: {error.strerror}. {way_out}"
    return None


def banner(settings: Settings) -> str:
    """The three lines a new user needs."""
    scheme = "https" if settings.tls_files else "http"
    own = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    url = settings.base_url or f"{scheme}://{own}:{settings.port}"
    curl = "curl -sk" if scheme == "https" else "curl -s"
    submit = (
        f"""{curl} {url}/txt2img -d '{{"prompt":"a red circle on a white background"}}' | cut -d'"' -f4"""
    )
    picture = (
        f"{curl}f --retry 60 --retry-delay 1 --retry-all-errors -o picture.jpg {url}/images/$({submit}).jpg"
    )
    return f"\n  Server:   {url}\n  Docs:     {url}/docs\n  Picture:  {picture}\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m diffusionapi", description="Start the server.")
    parser.add_argument("--check", action="store_true", help="only say whether settings and port are right")
    options = parser.parse_args()
    try:
        settings = Settings.load()
    except Misconfigured as error:
        sys.exit(error.sentence)
    if problem := port_problem(settings.host, settings.port):
        sys.exit(problem)
    if options.check:
        print(f"Settings are right; port {settings.port} is free.")  # noqa: T201
        return
    print(banner(settings), flush=True)  # noqa: T201
    certificate, key = settings.tls_files or (None, None)
    uvicorn.run(
        "diffusionapi.main:app",
        host=settings.host,
        port=settings.port,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )


if __name__ == "__main__":
    main()
