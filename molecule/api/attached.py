"""Work that is given up when its caller goes away, so that nobody waits for an answer to no one.

Giving up changes nothing that was accepted: the execution goes on and its key leads to it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from molecule.model.errors import DeadlineExceeded, MoleculeError

Result = TypeVar("Result")


async def attached(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`. Only after the body was read: what comes then is the caller's end."""
    async with asyncio.TaskGroup() as group:
        # Errors are carried out as values: a group would wrap them.
        working = group.create_task(_outcome(work))
        watching = group.create_task(_gone(request))
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        watching.cancel()
        working.cancel()
    if working.cancelled():
        raise DeadlineExceeded("the caller went away before the answer")
    result, error = working.result()
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # without an error there is a result


async def _outcome(
    work: Coroutine[Any, Any, Result],
) -> tuple[Result | None, MoleculeError | None]:
    try:
        return await work, None
    except MoleculeError as error:
        return None, error


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
