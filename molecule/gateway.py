"""The gateway process of a node: HTTPS outside, the node process behind a unix socket.

Started by the supervisor, which tells it everything by environment; it ends with the supervisor. It
keeps nothing, so it may be killed at any time, and it imports neither Raft nor storage.
"""

from molecule.telemetry import lean

# isort: split
import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import prometheus_client
import structlog
import uvloop

from molecule.api import listener
from molecule.api.application import build, patient
from molecule.api.hold import Patience
from molecule.config import Limits, NodeConfig
from molecule.model.errors import (
    DeadlineExceeded,
    InvalidConfig,
    MoleculeError,
    OutcomeUnknown,
    Unavailable,
)
from molecule.rpc import errors
from molecule.rpc.local_channel import local_channel
from molecule.rpc.submissions import SubmissionCalls
from molecule.telemetry import logs
from molecule.wire.v1.door_pb2 import (
    ActRequest,
    AwaitReply,
    AwaitRequest,
    ReadReply,
    ReadRequest,
    SubmitReply,
    SubmitRequest,
)
from molecule.wire.v1.door_pb2_grpc import DoorStub
from molecule.wire.v1.submissions_pb2_grpc import SubmissionsStub
from molecule.worker import kernel

log = structlog.get_logger()

EXIT_CONFIG: Final = 78
"""Said what is wrong with the configuration: starting again is useless (see `serve.py`)."""

_OBJECTS: Final = 20_000
"""New ones before the collector looks at them; a request makes some hundred."""

_BIND_PAUSE_MS: Final = 100
_LONG_S: Final = 1e9
"""Longer than anybody may be held."""


class _Libraries(logging.Handler):
    """What libraries log, as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        log.log(
            record.levelno,
            "library",
            logger=record.name,
            text=record.getMessage(),
            exc_info=record.exc_info,
        )


class GrpcDoor:
    """The gateway's `DoorClient` over the unix socket of the node process."""

    def __init__(self, channel: Any, limits: Limits) -> None:
        self._stub: Any = DoorStub(channel)
        self._submissions = SubmissionCalls(SubmissionsStub(channel), limits, _of_link)

    async def run(self) -> None:
        """Carry submissions until cancelled."""
        await self._submissions.run()

    async def submit(self, request: SubmitRequest, *, timeout_s: float) -> SubmitReply:
        """As `DoorClient.submit`."""
        return await self._submissions.submit(request, timeout_s=timeout_s)

    async def wait_for(self, request: AwaitRequest, *, timeout_s: float) -> AwaitReply:
        """As `DoorClient.wait_for`."""
        with _from_node_process():
            reply: AwaitReply = await self._stub.Await(request, timeout=timeout_s)
        return reply

    async def read(self, request: ReadRequest, *, timeout_s: float) -> ReadReply:
        """As `DoorClient.read`."""
        with _from_node_process():
            reply: ReadReply = await self._stub.Read(request, timeout=timeout_s)
        return reply

    async def act(self, request: ActRequest, *, timeout_s: float) -> ReadReply:
        """As `DoorClient.act`."""
        with _from_node_process():
            reply: ReadReply = await self._stub.Act(request, timeout=timeout_s)
        return reply


@contextlib.contextmanager
def _from_node_process() -> Iterator[None]:
    """Errors as the node process raised them; those of the link without places of this machine."""
    try:
        with errors.translated():
            yield
    except (Unavailable, DeadlineExceeded) as error:
        if _was_sent(error.__cause__):
            raise
        raise _of_link(error) from None


def _of_link(error: MoleculeError) -> MoleculeError:
    """What callers are told of a failure of the link itself."""
    if not isinstance(error, Unavailable | DeadlineExceeded):
        return error
    if isinstance(error, DeadlineExceeded):
        return OutcomeUnknown("the node process of this node did not answer in time")
    if not error.definite:
        return OutcomeUnknown("the node process of this node went away during the call")
    return Unavailable("the node process of this node is away, it is being started")


def _was_sent(cause: BaseException | None) -> bool:
    """True for an error that the node process itself told."""
    trailing: Any = getattr(cause, "trailing_metadata", tuple)()
    return any(key == errors.METADATA_KEY for key, _ in trailing or ())


@dataclass(frozen=True, slots=True)
class Told:
    """What the supervisor told by environment."""

    config: NodeConfig
    socket_path: Path
    secret: str
    supervisor: int

    @classmethod
    def by(cls, environ: Mapping[str, str]) -> "Told":
        """Read once at the start; `InvalidConfig` when this was not started by a supervisor."""
        try:
            return cls(
                config=NodeConfig.model_validate_json(environ["MOLECULE_NODE_CONFIG"]),
                socket_path=Path(environ["MOLECULE_LOCAL_SOCKET"]),
                secret=environ["MOLECULE_LOCAL_SECRET"],
                supervisor=int(environ["MOLECULE_SUPERVISOR_PID"]),
            )
        except KeyError as missing:
            message = f"{missing.args[0]} is not set: start a node with `molecule serve`"
            raise InvalidConfig(message) from None


async def run(told: Told) -> None:
    """Answer callers until SIGTERM or SIGINT. Raises `InvalidConfig` when it cannot start."""
    config = told.config
    context = listener.tls_context(config.http_tls or config.tls, setting="http_tls")
    listening = await _bind(config)
    channel = local_channel(
        told.socket_path, secret=told.secret, role="gateway", name=config.id, limits=config.limits
    )
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    door = GrpcDoor(channel, config.limits)
    app = build(door, config.limits, patience=_until(stopping, config.limits))
    server = listener.server(app, context, limits=config.limits)

    def stop() -> None:
        stopping.set()
        server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        log.info("gateway_started", http=config.http)
        async with asyncio.TaskGroup() as group:
            carrying = group.create_task(door.run())
            await server.serve(sockets=[listening])
            carrying.cancel()
    finally:
        await channel.close()


def main() -> int:
    """The exit code: 0 after a stop, 78 when the configuration is at fault."""
    logs.configure(node="", role="gateway", level="info")
    try:
        told = Told.by(os.environ)
        # At once and not gracefully: the next gateway of this node needs the port.
        kernel.die_with_parent(told.supervisor)
        logs.configure(node=told.config.id, role="gateway", level=told.config.log_level)
        # They would be a second series for each counter, of no use here.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # has no types
        logging.basicConfig(level=logging.WARNING, handlers=[_Libraries()])
        lean.settle(objects=_OBJECTS)
        uvloop.run(run(told))
    except InvalidConfig as error:
        # The reason is for the operator; a traceback would hide it.
        log.error("gateway_not_started", reason=error.message, **error.facts)  # noqa: TRY400
        return EXIT_CONFIG
    return 0


def _until(stopping: asyncio.Event, limits: Limits) -> Patience:
    """Patience that ends with the gateway: whoever is held is told what is known, and the key."""
    patience = patient(limits)
    return replace(
        patience, now_s=lambda: patience.now_s() + (_LONG_S if stopping.is_set() else 0.0)
    )


async def _bind(config: NodeConfig) -> socket.socket:
    """The listening socket. A port in use is tried for a while: the last gateway may still end."""
    for _ in range(config.limits.http_bind_ms_max // _BIND_PAUSE_MS):
        try:
            return listener.bind(config.http, setting="http")
        except InvalidConfig as error:
            if error.facts.get("errno") != errno.EADDRINUSE:
                raise
        await asyncio.sleep(_BIND_PAUSE_MS / 1000)  # nothing tells when a port becomes free
    return listener.bind(config.http, setting="http")


if __name__ == "__main__":
    sys.exit(main())
