"""What stands around every handler: who calls, and errors on their way out.

One of the named boundaries where any exception is caught: it is logged once and answered as
`internal`, which is not definite: how far the handler came is not known. What must stay true: no
handler runs before the caller is proved.
"""

import os
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

import grpc
import structlog

from molecule.model.errors import BrokenInvariant, MoleculeError
from molecule.rpc import errors
from molecule.rpc import identity as identities
from molecule.rpc.identity import Identity

log = structlog.get_logger(__name__)

_EXIT_BROKEN: Final = 70

Prove = Callable[[Any], Identity]
"""The identity behind a call's context, or an error of the family `Denied`."""

OnBroken = Callable[[BrokenInvariant], None]
"""Told of a broken invariant inside a handler: the process must stop."""


def stop_process(error: BrokenInvariant) -> None:
    """End this process at once: an error raised here would only end the task of the call."""
    log.critical("invariant_broken", exc_info=error)
    os._exit(_EXIT_BROKEN)


def told(method: str, peer: str, error: BaseException, on_broken: OnBroken) -> MoleculeError:
    """What a caller is told of an error of a handler; a fault of ours is logged, and not told."""
    if isinstance(error, BrokenInvariant):
        on_broken(error)
    if isinstance(error, MoleculeError):
        return error
    log.error("rpc_failed", method=method, peer=peer, exc_info=error)
    return MoleculeError("the node failed to answer; its log says why")


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # the library has no types
    """Wraps the handlers of one server."""

    def __init__(self, prove: Prove, on_broken: OnBroken) -> None:
        self._prove = prove
        self._on_broken = on_broken

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """The handler with the guard around it; None for methods that nobody registered."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        make = _MAKERS[handler.request_streaming, handler.response_streaming]
        behavior = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )
        guarded = self._stream if handler.response_streaming else self._single
        return make(
            guarded(method, behavior),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _single(self, method: str, behavior: Callable[..., Any]) -> Callable[..., Any]:
        async def call(request: Any, context: Any) -> Any:
            try:
                identities.set_caller(self._prove(context))
                return await behavior(request, context)
            except (Exception, BrokenInvariant) as error:  # noqa: BLE001  # named boundary
                await self._end(method, error, context)

        return call

    def _stream(self, method: str, behavior: Callable[..., Any]) -> Callable[..., Any]:
        async def call(request: Any, context: Any) -> None:
            try:
                identities.set_caller(self._prove(context))
                answer = behavior(request, context)
                if not hasattr(answer, "__aiter__"):
                    await answer
                    return
                async with aclosing(answer) as messages:
                    async for message in messages:
                        await context.write(message)
            except (Exception, BrokenInvariant) as error:  # noqa: BLE001  # named boundary
                await self._end(method, error, context)

        return call

    async def _end(self, method: str, error: BaseException, context: Any) -> None:
        """Always raises: what the library needs to end the call."""
        if isinstance(error, grpc.aio.AbortError):
            raise error
        end = told(method, context.peer(), error, self._on_broken)
        await context.abort(errors.status(end), errors.details(end), errors.metadata(end))


_MAKERS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
