"""`/deadletters`: documents that failed and are kept for repair."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from molecule.api import queries
from molecule.api.documentation import answers
from molecule.api.queries import FRESH, PAGE, Parameter
from molecule.api.shapes import DeadLetter, DeadLetterPage
from molecule.api.surface import Surface

_SHOW: Final = (FRESH,)
_FILTERS: Final = (
    Parameter("process", "Name of the process."),
    Parameter("environment", "Name of the environment."),
    Parameter("execution", "Id of the execution."),
    Parameter("error_class", "Class of the error, like `data` or `transient.unknown`."),
    Parameter("error_code", "Code of the error."),
    *PAGE,
)


def router(surface: Surface) -> APIRouter:
    """All routes of dead letters."""
    routes = APIRouter(tags=["deadletters"])
    limits = surface.limits

    @routes.get(
        "/deadletters",
        **answers(DeadLetterPage),
        openapi_extra=queries.documented(_FILTERS),
    )
    async def dead_letters(request: Request) -> Response:
        """Documents that failed and are kept, newest first."""
        query = queries.accept(request, _FILTERS, limits=limits)
        return await surface.read(request, "deadletters", query=query)

    @routes.get(
        "/deadletters/{dead_letter}",
        **answers(DeadLetter),
        openapi_extra=queries.documented(_SHOW),
    )
    async def dead_letter(
        request: Request, dead_letter: Annotated[str, Path(min_length=1, max_length=64)]
    ) -> Response:
        """One dead letter with its document."""
        query = queries.accept(request, _SHOW, limits=limits)
        return await surface.read(request, "deadletter", name=dead_letter, query=query)

    return routes
