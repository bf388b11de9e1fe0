"""Every error of the tree arrives as it left; a broken link says what is known."""

import asyncio
import json
from typing import Any

import grpc
import pytest

from molecule.model.effect import ErrorClass
from molecule.model.errors import (
    BrokenInvariant,
    DeadlineExceeded,
    Finding,
    InvalidProcess,
    LimitExceeded,
    MoleculeError,
    OutcomeUnknown,
    StepError,
    Unavailable,
)
from molecule.rpc import errors
from molecule.rpc.channel import PeerChannels
from molecule.rpc.server import PeerServer
from tests.adapters.rpc.cluster_of_two import LIMITS, Echo, live, say, serving


def an_error(found: type[MoleculeError]) -> MoleculeError:
    if issubclass(found, InvalidProcess):
        place = ("late.yaml", 3, 11, "steps[0].type", "unknown step", "did you mean map?")
        return InvalidProcess((Finding(*place), Finding(*place)))
    if issubclass(found, LimitExceeded):
        return LimitExceeded(limit="document_bytes_max", allowed=10, asked=11)
    if issubclass(found, StepError):
        return StepError("no", error_class=ErrorClass.DATA, error_code="bad_row", row=7)
    return found("what happened: ü", execution="e1", token=7)


def told(error: MoleculeError) -> dict[str, Any]:
    return {
        "class": type(error),
        "code": error.code,
        "message": error.message,
        "facts": dict(error.facts),
        **{name: value for name, value in vars(error).items() if name not in ("facts", "message")},
    }


async def collect(channel: Any, received: list[bytes]) -> None:
    with errors.translated():
        async for part in channel.stream_stream("/echo/Stream")(iter((b"a", b"b"))):
            received.append(part)  # noqa: PERF401  # a comprehension would lose them at the error


def test_table_holds_every_class_once() -> None:
    found = errors.classes()
    assert len(found) == len(set(found.values())) >= 25
    assert all(issubclass(error, MoleculeError) for error in found.values())


def of_the_tree() -> list[type[MoleculeError]]:
    """The classes that travel between nodes; other packages derive their own, which never do."""
    home = MoleculeError.__module__
    return [found for found in errors.classes().values() if found.__module__ == home]


@pytest.mark.parametrize("found", of_the_tree(), ids=lambda found: found.__name__)
async def test_error_arrives_as_it_left_by_call_and_by_stream(found: type[MoleculeError]) -> None:
    sent = an_error(found)
    async with serving(Echo(sent)) as server:
        channels = PeerChannels(live("n2"), limits=LIMITS)
        channel = channels.to("n1", f"127.0.0.1:{server.port}")
        with pytest.raises(MoleculeError) as single, errors.translated():
            await say(channel)
        received: list[bytes] = []
        with pytest.raises(MoleculeError) as stream:
            await collect(channel, received)
        await channels.close()
    assert received == [b"a", b"b"]
    assert told(single.value) == told(stream.value) == told(sent)


async def test_status_is_for_clients_that_do_not_know_the_tree() -> None:
    async with serving(Echo(LimitExceeded(limit="x", allowed=1, asked=2))) as server:
        channels = PeerChannels(live("n2"), limits=LIMITS)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await say(channels.to("n1", f"127.0.0.1:{server.port}"))
        await channels.close()
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert raised.value.details() == "2 is over the limit x of 1"
    (metadata,) = raised.value.trailing_metadata()
    assert json.loads(metadata[1])["code"] == "limit_exceeded"


@pytest.mark.parametrize("error", [ValueError("secret of the node"), KeyError("k")])
async def test_ordinary_exception_is_internal_and_says_nothing_of_itself(error: Exception) -> None:
    async with serving(Echo(error)) as server:
        channels = PeerChannels(live("n2"), limits=LIMITS)
        with pytest.raises(MoleculeError) as raised, errors.translated():
            await say(channels.to("n1", f"127.0.0.1:{server.port}"))
        await channels.close()
    assert (raised.value.code, raised.value.facts) == ("internal", {})
    # Nobody foresaw it: the handler may have done its work before.
    assert not raised.value.definite
    assert "secret" not in raised.value.message


async def test_broken_invariant_is_told_to_the_node() -> None:
    broken: list[BrokenInvariant] = []
    echo = Echo(BrokenInvariant("two leaders"))
    server = PeerServer("127.0.0.1:0", live("n1"), limits=LIMITS, on_broken=broken.append)
    server.register(echo.add_to, echo)
    await server.start()
    channels = PeerChannels(live("n2"), limits=LIMITS)
    with pytest.raises(MoleculeError), errors.translated():
        await say(channels.to("n1", f"127.0.0.1:{server.port}"))
    await channels.close()
    await server.stop()
    assert [str(error) for error in broken] == ["two leaders"]


async def test_node_that_is_not_there_is_definite() -> None:
    async with serving(Echo()) as server:
        port = server.port
    channels = PeerChannels(live("n2"), limits=LIMITS)
    with pytest.raises(Unavailable) as raised, errors.translated():
        await say(channels.to("n1", f"127.0.0.1:{port}"))
    await channels.close()
    assert (type(raised.value), raised.value.definite) == (Unavailable, True)


async def test_link_that_breaks_during_a_call_leaves_the_outcome_unknown() -> None:
    entered = asyncio.Event()

    class Slow(Echo):
        async def single(self, request: bytes, context: Any) -> bytes:
            entered.set()
            await asyncio.Event().wait()
            return await super().single(request, context)

    async with serving(Slow()) as server:
        channels = PeerChannels(live("n2"), limits=LIMITS)
        call = asyncio.ensure_future(say(channels.to("n1", f"127.0.0.1:{server.port}")))
        await entered.wait()
        await server.stop()
        with pytest.raises(OutcomeUnknown), errors.translated():
            await call
        await channels.close()


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DATA_LOSS,
    ],
)
def test_what_the_library_says_of_a_killed_process_leaves_the_outcome_unknown(
    code: grpc.StatusCode,
) -> None:
    none = grpc.aio.Metadata()
    broken = grpc.aio.AioRpcError(code, none, none, details="Internal error from Core")
    error = errors.from_rpc(broken)
    assert (type(error), error.definite, error.retryable) == (OutcomeUnknown, False, True)


def test_an_error_of_ours_stays_what_it_is_whatever_its_status() -> None:
    sent = MoleculeError("a fault of the node")
    told = grpc.aio.Metadata(*errors.metadata(sent))
    status = errors.status(sent)
    error = errors.from_rpc(grpc.aio.AioRpcError(status, grpc.aio.Metadata(), told))
    assert (error.code, error.message) == ("internal", "a fault of the node")


async def test_time_that_runs_out_is_not_definite() -> None:
    class Slow(Echo):
        async def single(self, request: bytes, context: Any) -> bytes:
            await asyncio.Event().wait()
            return await super().single(request, context)

    async with serving(Slow()) as server:
        channels = PeerChannels(live("n2"), limits=LIMITS)
        channel = channels.to("n1", f"127.0.0.1:{server.port}")
        with pytest.raises(DeadlineExceeded), errors.translated():
            await channel.unary_unary("/echo/Single")(b"word", timeout=0.2)
        await channels.close()


async def test_facts_too_large_for_metadata_are_left_out_and_the_error_still_arrives() -> None:
    sent = MoleculeError("m" * 100_000, blob="x" * 1_000_000)
    async with serving(Echo(sent)) as server:
        channels = PeerChannels(live("n2"), limits=LIMITS)
        with pytest.raises(MoleculeError) as raised, errors.translated():
            await say(channels.to("n1", f"127.0.0.1:{server.port}"))
        await channels.close()
    assert (raised.value.facts, raised.value.message) == ({}, "m" * 1024)
