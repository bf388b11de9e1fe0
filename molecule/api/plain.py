"""Submissions without the framework around their endpoints, to be found before its own routes.

They take the request as it came. What the framework would do for their parameters, of which there
are none, is a good part of what a small submission costs; its own routes stay for its document.
"""

from typing import Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import Route

_PREFIX: Final = "/api/v1"
_PATHS: Final = ("/executions", "/executions:batch")


def submissions_of(router: APIRouter) -> list[Route]:
    """The same endpoints once more, plain."""
    return [
        Route(f"{_PREFIX}{route.path}", route.endpoint, methods=["POST"])
        for route in router.routes
        if isinstance(route, APIRoute) and route.path in _PATHS and "POST" in (route.methods or ())
    ]
