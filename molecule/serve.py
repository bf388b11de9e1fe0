"""`molecule serve`: the supervisor, parent of all processes of one node.

It starts the node process and the gateway, starts workers when the node process asks, restarts what
ends, and leaves every decision about work to the node process. One thing must stay true: when a
node process has ended, its workers are killed and reaped *before* that end is reported to the
cluster, because the report lets the leader give their work away at once. Standard library only: it
must not die of what kills its children.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import signal
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from molecule.memory_group import MemoryGroup

EXIT_CONFIG: Final = 78
"""A child ends with this (EX_CONFIG) when it said what is wrong: starting it again is useless."""

EXIT_RESTART: Final = 75
"""A child that ends with this asks to be started again at once (a snapshot was installed)."""

# These bounds are not in `config.Limits`: the supervisor imports nothing, and must also bring up a
# node whose settings stop its every start.
_GRACE_S: Final = 20.0
_REPORT_S: Final = 10.0
_REPORT_STOPPING_S: Final = 2.0
"""Short, because a whole cluster that is stopped has nobody left to be told."""
_BACKOFF_FIRST_S: Final = 0.1
_BACKOFF_MAX_S: Final = 5.0
_HEALTHY_AFTER_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Programs:
    """The command line of each kind of child."""

    node: tuple[str, ...] = (sys.executable, "-m", "molecule.node")
    worker: tuple[str, ...] = (sys.executable, "-m", "molecule.worker")
    gateway: tuple[str, ...] = (sys.executable, "-m", "molecule.gateway")
    report: tuple[str, ...] = (sys.executable, "-m", "molecule.node.death_report")

    def of(self, node: str, data: str) -> "Programs":
        """The same with two words that nobody reads but people who look at a list of processes."""
        words = (node, data)
        return Programs(
            self.node + words, self.worker + words, self.gateway + words, self.report + words
        )


class Backoff:
    """How long to wait before a child is started again: longer while it keeps dying young."""

    def __init__(self) -> None:
        self._pause_s = _BACKOFF_FIRST_S

    def after(self, lived_s: float) -> float:
        """The pause in seconds after a life of this length."""
        is_healthy = lived_s > _HEALTHY_AFTER_S
        self._pause_s = _BACKOFF_FIRST_S if is_healthy else min(self._pause_s * 2, _BACKOFF_MAX_S)
        return self._pause_s


def run(settings: str) -> NoReturn:
    """Become the supervisor of the node whose checked configuration (JSON) is `settings`."""
    environ = {**os.environ, "MOLECULE_NODE_CONFIG": settings}
    told = json.loads(settings)
    command = [sys.executable, "-m", "molecule.serve", told["id"], told["data"]]
    os.execve(sys.executable, command, environ)  # noqa: S606


def local_folder(data: str) -> Path:
    """A 0700 folder for this node's unix socket, short enough for the 107-byte limit of its path.

    It lies in the user's runtime folder and is named by the data folder, so that a node killed by
    force leaves nothing that its next start would not find. `PermissionError`: somebody else's.
    """
    parent = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    name = hashlib.sha256(str(Path(data).resolve()).encode()).hexdigest()[:16]
    folder = Path(parent) / f"molecule-{os.getuid()}-{name}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        message = f"{folder} belongs to somebody else; remove it or set XDG_RUNTIME_DIR"
        raise PermissionError(message)
    folder.chmod(0o700)
    return folder


class Supervisor:
    """Owns the children of one node. Built once, run once."""

    def __init__(
        self, folder: Path, programs: Programs | None = None, *, has_gateway: bool = True
    ) -> None:
        self._has_gateway = has_gateway
        self._programs = programs or Programs()
        self._environ = {
            **os.environ,
            "MOLECULE_LOCAL_SOCKET": str(folder / "node.sock"),
            "MOLECULE_LOCAL_SECRET": secrets.token_urlsafe(32),
            "MOLECULE_SUPERVISOR_PID": str(os.getpid()),
        }
        self._stopping = asyncio.Event()
        self._exit_code = 0
        self._workers: dict[str, asyncio.subprocess.Process] = {}
        self._control: socket.socket | None = None
        self._group = asyncio.TaskGroup()

    def stop(self) -> None:
        """Begin a graceful end; safe to call from a signal handler and more than once."""
        self._stopping.set()

    async def run(self) -> int:
        """Keep the node running until `stop`; the exit code for the operating system."""
        async with self._group:
            self._group.create_task(self._keep_node())
            if self._has_gateway:
                self._group.create_task(self._keep_gateway())
        return self._exit_code

    # ---- the node process and its workers

    async def _keep_node(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            life = secrets.token_hex(8)
            started = time.monotonic()
            code = await self._one_node_life(life)
            await self._reap_workers()
            if code == EXIT_CONFIG:
                self._end(EXIT_CONFIG)
                return
            # The next life may start while the report is still on its way.
            evidence = f"node process ended with {_told(code)}, workers reaped"
            self._group.create_task(self._report_death(life, evidence))
            if self._stopping.is_set():
                return
            if code != EXIT_RESTART:
                _say("node process ended, starting it again", exit=_told(code))
                await self._pause(backoff.after(time.monotonic() - started))

    async def _one_node_life(self, life: str) -> int:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        process = await asyncio.create_subprocess_exec(
            *self._programs.node,
            env={
                **self._environ,
                "MOLECULE_LIFE": life,
                "MOLECULE_CONTROL_FD": str(theirs.fileno()),
            },
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        self._control = ours
        try:
            async with asyncio.TaskGroup() as group:
                # Ends with the line and is not cancelled: a worker whose start were cut off half
                # way would run unknown to everybody.
                group.create_task(self._serve_requests(ours))
                code = await self._wait_or_stop(process)
        finally:
            self._control = None
            ours.close()
        return code

    async def _serve_requests(self, control: socket.socket) -> None:
        """Obey the node process: lines of JSON, `start_worker` (`memory_max`) or `kill_worker`."""
        loop = asyncio.get_running_loop()
        buffer = b""
        # A node process that dies resets the line; its end is seen by whoever waits for it.
        with contextlib.suppress(ConnectionError):
            while received := await loop.sock_recv(control, 65536):
                buffer += received
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    request = json.loads(line)
                    if worker := request.get("start_worker"):
                        await self._start_worker(worker, int(request.get("memory_max", 0)))
                    elif (worker := request.get("kill_worker")) in self._workers:
                        self._workers[worker].kill()

    async def _start_worker(self, worker: str, memory_max: int) -> None:
        group = MemoryGroup.make(worker, bytes_max=memory_max) if memory_max else None
        process = await asyncio.create_subprocess_exec(
            *self._programs.worker, env={**self._environ, "MOLECULE_WORKER": worker}
        )
        if group is not None:
            group.add(process.pid)
        self._workers[worker] = process
        await self._tell_node({"worker_started": worker, "pid": process.pid})
        self._group.create_task(self._watch_worker(worker, process, group))

    async def _watch_worker(
        self, worker: str, process: asyncio.subprocess.Process, group: MemoryGroup | None
    ) -> None:
        code = await process.wait()
        self._workers.pop(worker, None)
        told = {"worker_died": worker, "pid": process.pid, "exit": code}
        if group is not None:
            told["out_of_memory"] = group.out_of_memory()
            group.remove()
        await self._tell_node(told)

    async def _tell_node(self, message: Mapping[str, object]) -> None:
        if self._control is None:
            return
        with contextlib.suppress(OSError):
            line = json.dumps(message).encode() + b"\n"
            await asyncio.get_running_loop().sock_sendall(self._control, line)

    async def _reap_workers(self) -> None:
        for process in list(self._workers.values()):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _report_death(self, life: str, evidence: str) -> None:
        """Tell the cluster, by a short-lived child that may import what the supervisor must not."""
        process = await asyncio.create_subprocess_exec(
            *self._programs.report,
            env={
                **self._environ,
                "MOLECULE_LIFE": life,
                "MOLECULE_EVIDENCE": evidence,
                "MOLECULE_REPORT_WITHIN_S": str(
                    _REPORT_STOPPING_S if self._stopping.is_set() else _REPORT_S
                ),
            },
        )
        await process.wait()

    # ---- the gateway

    async def _keep_gateway(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            started = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                *self._programs.gateway, env=self._environ
            )
            code = await self._wait_or_stop(process)
            if self._stopping.is_set():
                return
            if code == EXIT_CONFIG:
                self._end(EXIT_CONFIG)
                return
            _say("gateway ended, starting it again", exit=_told(code))
            await self._pause(backoff.after(time.monotonic() - started))

    # ---- waiting and ending

    async def _wait_or_stop(self, process: asyncio.subprocess.Process) -> int:
        """The child's exit code; if the supervisor stops first, the child is asked, then killed."""
        async with asyncio.TaskGroup() as group:
            ending = group.create_task(self._end_when_asked(process))
            code = await process.wait()
            ending.cancel()
        return code

    async def _end_when_asked(self, process: asyncio.subprocess.Process) -> None:
        await self._stopping.wait()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _end(self, code: int) -> None:
        self._exit_code = code
        self._stopping.set()


def _told(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def _say(event: str, **facts: object) -> None:
    line = {"ts": time.time(), "level": "warning", "role": "supervisor", "msg": event, **facts}
    print(json.dumps(line), file=sys.stderr, flush=True)  # noqa: T201


async def _main() -> int:
    settings = json.loads(os.environ["MOLECULE_NODE_CONFIG"])
    data = settings["data"]
    try:
        folder = local_folder(data)
    except OSError as error:
        print(f"molecule serve: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIG
    # A worker node has no copy of anything that a caller could ask for.
    supervisor = Supervisor(
        folder,
        Programs().of(settings["id"], data),
        has_gateway=settings.get("role") != "worker",
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    try:
        return await supervisor.run()
    finally:
        # Not empty while another node process has its socket there.
        with contextlib.suppress(OSError):
            folder.rmdir()


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
