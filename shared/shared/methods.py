"""Which methods a path answers to, over all its routes."""

from starlette.requests import Request
from starlette.routing import Match

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def allowed_methods(request: Request) -> str:
    """The value of ``Allow``; Starlette's own names only the first route's."""
    scope = {key: value for key, value in request.scope.items() if key != "fastapi"}
    allowed = [
        method
        for method in _METHODS
        if any(
            route.matches({**scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]
    if "GET" in allowed:
        allowed.append("HEAD")
    return ", ".join([*allowed, "OPTIONS"])
