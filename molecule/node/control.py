"""The node process's line to its supervisor: start a worker, kill a worker, hear of deaths.

One JSON object per line over an inherited socket. When the line breaks the supervisor is gone, and
this process, whose parent-death signal is on its way, must not outlive it.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """The supervisor reaped a worker; `exit_code` below zero is minus a signal's number."""

    worker: str
    pid: int
    exit_code: int
    out_of_memory: bool = False
    """The kernel ended it at the memory limit that the supervisor had set."""


class Control:
    """Built from the file descriptor in `MOLECULE_CONTROL_FD`."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)
        self.pids: dict[str, int] = {}
        """Of the workers that run."""

    async def start_worker(self, worker: str, *, memory_bytes_max: int) -> None:
        """Ask for a new worker process of this name, which may have so much memory."""
        await self._say({"start_worker": worker, "memory_max": memory_bytes_max})

    async def kill_worker(self, worker: str) -> None:
        """Ask for its end by SIGKILL; its death is told like any other."""
        await self._say({"kill_worker": worker})

    async def _say(self, message: dict[str, str | int]) -> None:
        line = json.dumps(message).encode() + b"\n"
        await asyncio.get_running_loop().sock_sendall(self._socket, line)

    def close(self) -> None:
        """Give the socket back; the supervisor sees the line end."""
        self._socket.close()

    async def deaths(self) -> AsyncIterator[WorkerDied]:
        """Deaths as they are told; ends when the supervisor is gone."""
        loop = asyncio.get_running_loop()
        buffer = b""
        while received := await loop.sock_recv(self._socket, 65536):
            *lines, buffer = (buffer + received).split(b"\n")
            for line in lines:
                told = json.loads(line)
                if worker := told.get("worker_started"):
                    self.pids[worker] = int(told["pid"])
                if worker := told.get("worker_died"):
                    self.pids.pop(worker, None)
                    out_of_memory = bool(told.get("out_of_memory"))
                    yield WorkerDied(worker, int(told["pid"]), int(told["exit"]), out_of_memory)
