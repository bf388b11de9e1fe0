"""Real processes that get little of something, show it, and have enough afterwards."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from chaos.faults.fault import NotConfirmed
from chaos.faults.resources import OutOfDescriptors, OutOfMemory, Starved
from chaos.runner.site import Site
from molecule.cli import local_process
from molecule.cli.local_files import HOST
from molecule.cli.local_process import Member, ProcessMark

SOON_S = 0.3

BUSY = "print('up', flush=True)\nwhile True: pass"

IDLE = "print('up', flush=True)\ninput()"

# Whoever dials hears that this is no TLS; whom it cannot take it leaves waiting.
DOOR = """
import socket, time
door = socket.create_server(("127.0.0.1", 0))
print(door.getsockname()[1], flush=True)
while True:
    try:
        caller, _ = door.accept()
    except OSError:
        time.sleep(0.01)
        continue
    caller.recv(1)
    caller.sendall(b"no TLS here")
    caller.close()
"""

# Keeps one worker, which needs a gigabyte.
SUPERVISOR = """
import subprocess, sys, time
print("up", flush=True)
while True:
    command = [sys.executable, "-c", "import time; kept = bytearray(2**30); time.sleep(600)"]
    subprocess.run([*command, "worker"], stderr=subprocess.DEVNULL)
    time.sleep(0.1)
"""


class Victim:
    """A session of processes where a node would be."""

    def __init__(self, source: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.told = self.process.stdout.readline().strip()
        place = SimpleNamespace(http=f"{HOST}:{self.told}", rpc="")
        self.local = SimpleNamespace(node=lambda _: place)
        self.is_back = False

    def signal_one(self, _node: str, pid: int, number: signal.Signals) -> bool:
        mark = ProcessMark(self.process.pid, _started(self.process.pid))
        return local_process.send(mark, pid, number)

    def members(self, node: str, role: str = "") -> list[Member]:
        assert node == "n1"
        found = local_process.members(ProcessMark(self.process.pid, _started(self.process.pid)))
        is_worker = [one.command.endswith(" worker") for one in found]
        if not role:
            return found
        wants = role == "worker"
        return [one for one, is_one in zip(found, is_worker, strict=True) if is_one is wants]

    async def ready(self, *nodes: str) -> None:
        """Always."""

    async def back(self, node: str) -> None:
        assert node == "n1"
        self.is_back = True

    def close(self) -> None:
        for member in self.members("n1"):
            os.kill(member.pid, 9)
        self.process.communicate()


def _started(pid: int) -> int:
    stat = (Path("/proc") / str(pid) / "stat").read_text(encoding="utf-8")
    return int(stat.rpartition(")")[2].split()[19])


@pytest.fixture
def victim(request: pytest.FixtureRequest) -> Iterator[Victim]:
    made = Victim(request.param)
    yield made
    made.close()


def site(victim: Victim) -> Site:
    return cast("Site", victim)


@pytest.mark.parametrize("victim", [BUSY], indirect=True)
async def test_a_process_that_would_use_all_gets_a_part(victim: Victim) -> None:
    fault = Starved(("n1",), seconds=1.0)
    await fault.begin(site(victim))

    told = await fault.confirm(site(victim))

    assert told["share_of_a_processor"] > 0
    assert told["seen_stopped"] * 2 >= told["cycles"] > 1
    await fault.end(site(victim))
    assert [one.state for one in victim.members("n1")] != ["T"]


@pytest.mark.parametrize("victim", [IDLE], indirect=True)
async def test_a_process_that_used_nothing_was_not_starved(victim: Victim) -> None:
    fault = Starved(("n1",), seconds=SOON_S)
    await fault.begin(site(victim))

    with pytest.raises(NotConfirmed):
        await fault.confirm(site(victim))

    await fault.end(site(victim))


@pytest.mark.parametrize("victim", [DOOR], indirect=True)
async def test_a_door_without_descriptors_takes_nobody_until_it_has_some(victim: Victim) -> None:
    pid = victim.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    fault = OutOfDescriptors(("n1",), "gateway", seconds=0.0, door_s=SOON_S)
    await fault.begin(site(victim))

    told = await fault.confirm(site(victim))

    assert "no answer" in told["refused"]
    assert told["limits"][str(pid)] < before[0]
    await fault.end(site(victim))
    assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == before
    assert victim.is_back
    reader, writer = await asyncio.open_connection(HOST, int(victim.told))
    writer.write(b"x")
    assert await reader.read() == b"no TLS here"
    writer.close()


@pytest.mark.parametrize("victim", [DOOR], indirect=True)
async def test_a_door_that_serves_is_not_out_of_descriptors(victim: Victim) -> None:
    fault = OutOfDescriptors(("n1",), "gateway", 0.0, seen_within_s=SOON_S, door_s=10.0)
    await fault.begin(site(victim))
    await fault.end(site(victim))

    with pytest.raises(NotConfirmed):
        await fault.confirm(site(victim))


@pytest.mark.parametrize("victim", [SUPERVISOR], indirect=True)
async def test_workers_start_in_vain_until_there_is_memory(victim: Victim) -> None:
    await _a_worker(victim)
    fault = OutOfMemory(("n1",))
    await fault.begin(site(victim))

    told = await fault.confirm(site(victim))

    assert len(told["started_in_vain"]) >= 2
    assert not set(told["killed"]) & set(told["started_in_vain"])
    await fault.end(site(victim))
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    assert resource.prlimit(victim.process.pid, resource.RLIMIT_AS) == unlimited


@pytest.mark.parametrize("victim", [IDLE], indirect=True)
async def test_a_node_without_a_worker_cannot_lack_memory_for_one(victim: Victim) -> None:
    fault = OutOfMemory(("n1",))
    await fault.begin(site(victim))

    with pytest.raises(NotConfirmed):
        await fault.confirm(site(victim))

    await fault.end(site(victim))


async def _a_worker(victim: Victim) -> None:
    while not victim.members("n1", "worker"):  # noqa: ASYNC110  # another process brings it about
        await asyncio.sleep(0.01)
