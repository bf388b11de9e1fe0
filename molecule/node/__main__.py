"""The main function of a node process; started by the supervisor (`molecule.serve`) only."""

from molecule.telemetry import lean  # noqa: F401  # for what it does

# isort: split
import asyncio
import ctypes
import gc
import os
import signal
import sys
from pathlib import Path

import structlog
import uvloop

from molecule.config import NodeConfig
from molecule.model.errors import BrokenInvariant, MoleculeError
from molecule.node import endings
from molecule.node.clock import wall_off_by
from molecule.node.opening import Told, open_data
from molecule.node.runtime import Runtime
from molecule.node.worker_runtime import WorkerRuntime
from molecule.serve import EXIT_CONFIG, EXIT_RESTART
from molecule.telemetry import logs

_log = structlog.get_logger()

_PR_SET_PDEATHSIG = 1


class _Ending:
    """Why this life ends: the first reason counts."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.event = asyncio.Event()

    def fatal(self, message: str) -> None:
        """Something that this life cannot mend; the next one may."""
        _log.error("node_stops", reason=message)
        self._set(1)

    def refused(self, message: str) -> None:
        """Something that no further life can mend by itself: a person must act."""
        print(f"molecule: this node cannot run: {message}", file=sys.stderr)  # noqa: T201
        self._set(EXIT_CONFIG)

    def restart(self, message: str) -> None:
        """The next life begins with what this one prepared."""
        _log.warning("node_restarts", reason=message)
        self._set(EXIT_RESTART)

    def asked(self) -> None:
        """The supervisor asks for the end."""
        self._set(0)

    def _set(self, code: int) -> None:
        if self.code is None:
            self.code = code
            self.event.set()


def _die_with_parent(supervisor: int) -> None:
    """Without its supervisor nobody would report its end or reap its workers."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:
        sys.exit(1)


async def _run(config: NodeConfig, told: Told) -> int:
    ending = _Ending()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ending.asked)
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    if config.role == "worker":
        return await _serve(_worker_node(config, told, ending), ending)
    opened = await open_data(config)
    gc.freeze()
    try:
        runtime = Runtime(
            config,
            told,
            opened,
            on_fatal=ending.fatal,
            on_refused=ending.refused,
            on_restart=ending.restart,
        )
        return await _serve(runtime, ending)
    finally:
        try:
            await opened.close()
        except MoleculeError as error:
            # The journal has all of it; the next life reads it from there.
            _log.error("storage_not_closed", reason=error.message)


def _worker_node(config: NodeConfig, told: Told, ending: _Ending) -> WorkerRuntime:
    return WorkerRuntime(config, told, on_fatal=ending.fatal, on_refused=ending.refused)


async def _serve(runtime: Runtime | WorkerRuntime, ending: _Ending) -> int:
    async with asyncio.TaskGroup() as group:
        running = group.create_task(runtime.run())
        await ending.event.wait()
        if ending.code == 0:
            await runtime.hand_over.run()
        running.cancel()
    return ending.code or 0


def main() -> int:
    """The exit code: 78 when configuration or data are at fault and a restart would not help."""
    config = NodeConfig.model_validate_json(os.environ["MOLECULE_NODE_CONFIG"])
    _die_with_parent(int(os.environ["MOLECULE_SUPERVISOR_PID"]))
    logs.configure(node=config.id, role="node", level=config.log_level)
    told = Told(
        life=os.environ["MOLECULE_LIFE"],
        socket_path=Path(os.environ["MOLECULE_LOCAL_SOCKET"]),
        secret=os.environ["MOLECULE_LOCAL_SECRET"],
        control_fd=int(os.environ["MOLECULE_CONTROL_FD"]),
        wall=wall_off_by(int(os.environ.get("MOLECULE_CLOCK_OFF_BY_MS", "0"))),
    )
    # Millions of small objects live as long as their executions: looking through all of them for
    # cycles would stall the loop that votes.
    gc.set_threshold(10_000, 5, 2_000)
    try:
        return uvloop.run(_run(config, told))
    except endings.FOR_A_PERSON as error:
        endings.say(config.id, error)
        return EXIT_CONFIG
    except BaseExceptionGroup as group:
        return EXIT_CONFIG if endings.is_for_a_person(config.id, group) else 1
    except (Exception, BrokenInvariant) as error:  # noqa: BLE001  # logged once, here
        _log.error("node_failed", exc_info=error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
