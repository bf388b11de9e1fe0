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
    here = asyncio.timeout(None)
    # Errors are carried out as values: a group would wrap them.
    result: Result | None = None
    refused: MoleculeError | None = None
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_gone(request, here))
        try:
            async with here:
                result = await work
        except MoleculeError as error:
            refused = error
        except TimeoutError:
            if not here.expired():
                raise
            refused = DeadlineExceeded("the caller went away before the answer")
        watching.cancel()
    if refused is not None:
        raise refused
    return result  # type: ignore[return-value]  # without an error there is a result


async def _gone(request: Request, here: asyncio.Timeout) -> None:
    """Let the caller's time be over when the caller is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    here.reschedule(asyncio.get_running_loop().time())
