"""HEAD, as load balancers and `curl -I` ask, wherever GET only tells something: FastAPI leaves it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi.routing import RouteContext
    from starlette.types import ASGIApp, Receive, Scope, Send


class Heads:
    """Has GET answer HEAD where a path has none of its own. The server leaves out the body of any HEAD."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD" and told_by_get(routes_of(scope)):
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def routes_of(scope: Scope) -> list[RouteContext]:
    """All on the path that was asked for; of several dialects, maybe."""
    path = scope["path"].removeprefix(scope.get("root_path", "")).rstrip("/") or "/"
    return [
        one
        for one in iter_route_contexts(scope["app"].routes)
        if one.path and one.methods and compile_path(one.path)[0].match(path)
    ]


def told_by_get(routes: Sequence[RouteContext]) -> bool:
    if any("HEAD" in (one.methods or ()) for one in routes):
        return False
    gets = [one.original_route for one in routes if "GET" in (one.methods or ())]
    return bool(gets) and all(getattr(one, "answers_head", True) for one in gets)
