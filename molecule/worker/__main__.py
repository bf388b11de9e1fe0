"""The main function of a worker process; started by the supervisor (`molecule.serve`) only."""

from molecule.telemetry import lean

# isort: split
import contextlib
import faulthandler
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import structlog
import uvloop

import molecule
from molecule.component import registry as registries
from molecule.config import NodeConfig
from molecule.model.errors import MoleculeError
from molecule.rpc import errors
from molecule.rpc.local_channel import local_channel
from molecule.rpc.message_queue import MessageQueue
from molecule.telemetry import logs
from molecule.wire.v1 import worker_pb2 as w
from molecule.wire.v1.worker_pb2_grpc import WorkerHostStub
from molecule.worker import kernel
from molecule.worker.caches import Caches
from molecule.worker.cluster_clock import ClusterClock
from molecule.worker.host import WorkerHost
from molecule.worker.kernel import Lease
from molecule.worker.packages import Packages
from molecule.worker.processing import Processing
from molecule.worker.runner import Services
from molecule.worker.stream import NodeStream

_log = structlog.get_logger()

_OBJECTS = 20_000
"""New ones before the collector looks at them; an execution makes some hundred."""


async def _run(config: NodeConfig, worker: str) -> None:
    registry = registries.discover()
    lean.settle(objects=_OBJECTS)
    stream = NodeStream(MessageQueue(config.limits))
    lease = Lease()
    lease.arm()
    timing = config.effective_timing
    packages = Packages(registry, config.limits)
    processing = Processing()
    services = Services(
        calls=stream,
        lease=lease,
        clock=ClusterClock(),
        packages=packages,
        processing=processing,
        limits=config.limits,
        settle_ms=timing.lease_ms + timing.lease_margin_ms,
        caches=Caches(config.limits),
    )
    host = WorkerHost(stream, services, registry)
    channel = local_channel(
        Path(os.environ["MOLECULE_LOCAL_SOCKET"]),
        secret=os.environ["MOLECULE_LOCAL_SECRET"],
        role="worker",
        name=worker,
        limits=config.limits,
    )

    async def open_stream(
        outgoing: AsyncIterator[Sequence[w.FromWorker]],
    ) -> AsyncIterator[Sequence[w.ToWorker]]:
        said = (w.FromWorkerBatch(messages=messages) async for messages in outgoing)
        with errors.translated():
            async for batch in WorkerHostStub(channel).Work(said):
                yield batch.messages

    hello = w.WorkerHello(worker=worker, pid=os.getpid(), software=molecule.__version__)
    try:
        await host.run(hello, open_stream)
    finally:
        processing.close()
        with contextlib.suppress(Exception):
            await packages.close()
        await channel.close()


def main() -> int:
    """The exit code: 0 when the node process ended the stream."""
    faulthandler.enable()
    # Ctrl-C in a terminal reaches every process of a node; its supervisor ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kernel.die_with_parent(int(os.environ["MOLECULE_SUPERVISOR_PID"]))
    config = NodeConfig.model_validate_json(os.environ["MOLECULE_NODE_CONFIG"])
    worker = os.environ["MOLECULE_WORKER"]
    logs.configure(node=config.id, role="worker", level=config.log_level)
    try:
        uvloop.run(_run(config, worker))
    except* MoleculeError as group:
        _log.info("worker_ends", worker=worker, reason=str(group.exceptions[0]))
    return 0


if __name__ == "__main__":
    # Threads may still evaluate an expression; nothing of them is wanted any more.
    sys.stderr.flush()
    os._exit(main())
