"""Our tree of errors over gRPC and back.

The status code follows from the class's HTTP code, the class itself and its facts travel as JSON in
the trailing metadata. What must stay true: a failure of which nobody knows whether it happened is
never turned into one that is `definite`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import grpc
import orjson

from molecule.model.effect import ErrorClass
from molecule.model.errors import (
    DeadlineExceeded,
    Finding,
    Forbidden,
    InvalidProcess,
    MoleculeError,
    OutcomeUnknown,
    StepError,
    Unauthenticated,
    Unavailable,
)

METADATA_KEY: Final = "molecule-error-bin"
_MESSAGE_CHARACTERS_MAX: Final = 1024
_FACTS_BYTES_MAX: Final = 64 * 1024

_STATUS_OF_HTTP: Final[dict[int, grpc.StatusCode]] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    410: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
    507: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


_BROKEN: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        # "Internal error from Core": what the library says when the other process was killed.
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Said by the library itself, without an error of our tree, when a call breaks half way."""


def _descendants(root: type[MoleculeError]) -> Iterator[type[MoleculeError]]:
    yield root
    for child in root.__subclasses__():
        yield from _descendants(child)


def classes() -> dict[str, type[MoleculeError]]:
    """Every class of the tree by its code, read from the tree itself."""
    return {found.code: found for found in _descendants(MoleculeError)}


def status(error: MoleculeError) -> grpc.StatusCode:
    """The gRPC status of an error."""
    return _STATUS_OF_HTTP[error.http]


def details(error: MoleculeError) -> str:
    """The message as it fits into a status; the metadata has it whole."""
    return error.message[:_MESSAGE_CHARACTERS_MAX]


def metadata(error: MoleculeError) -> tuple[tuple[str, bytes], ...]:
    """The trailing metadata from which the other side makes the same error again."""
    return ((METADATA_KEY, encoded(error)),)


def encoded(error: MoleculeError) -> bytes:
    """The bytes from which `decoded` makes the same error again."""
    told: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "facts": dict(error.facts),
    }
    if isinstance(error, StepError):
        told |= {"error_class": error.error_class.value, "error_code": error.error_code}
    content = orjson.dumps(told, default=str)
    if len(content) > _FACTS_BYTES_MAX:
        told["facts"] = {}
        told["message"] = details(error)
        content = orjson.dumps(told, default=str)
    return content


def from_rpc(error: grpc.aio.AioRpcError) -> MoleculeError:
    """The error that the other side raised, or what a failure of gRPC itself means to a caller."""
    for key, value in error.trailing_metadata() or ():
        if key == METADATA_KEY and isinstance(value, bytes):
            return decoded(value)
    return _own(error.code(), error.details() or "")


@contextmanager
def translated() -> Iterator[None]:
    """Calls and streams inside raise errors of our tree instead of gRPC's."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise from_rpc(error) from error


def decoded(content: bytes) -> MoleculeError:
    """The error that the other side raised."""
    try:
        told = orjson.loads(content)
        message, facts = str(told["message"]), dict(told["facts"])
        found = classes().get(told["code"], MoleculeError)
        return _made(found, message, facts, told)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return MoleculeError("the other side failed in a way that could not be read")


def _made(
    found: type[MoleculeError],
    message: str,
    facts: Mapping[str, Any],
    told: Mapping[str, Any],
) -> MoleculeError:
    if issubclass(found, InvalidProcess):
        return InvalidProcess(tuple(Finding(**finding) for finding in facts.get("findings", ())))
    if issubclass(found, StepError):
        return StepError(
            message,
            error_class=ErrorClass(told["error_class"]),
            error_code=str(told["error_code"]),
            **facts,
        )
    # Some classes make their message from their arguments; here it exists already.
    error = found.__new__(found)
    MoleculeError.__init__(error, message, **facts)
    return error


def _own(code: grpc.StatusCode, told: str) -> MoleculeError:
    match code:
        case grpc.StatusCode.UNAVAILABLE if told.startswith("failed to connect to all addresses"):
            return Unavailable(f"the node cannot be reached: {told}")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded("the time for the call ran out")
        case grpc.StatusCode.UNAUTHENTICATED:
            return Unauthenticated(told)
        case grpc.StatusCode.PERMISSION_DENIED:
            return Forbidden(told)
        case _ if code in _BROKEN:
            # The request may have arrived before the link broke.
            return OutcomeUnknown(f"the link to the node broke during the call: {told}")
        case _:
            return MoleculeError(f"the call failed: {code.name}: {told}")
