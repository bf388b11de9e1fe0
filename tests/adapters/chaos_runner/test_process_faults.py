"""Faults of processes, made on real ones: what the kernel does not show to the end is none."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from chaos.faults.fault import NotConfirmed
from chaos.faults.processes import Freeze, RollingRestart
from chaos.runner.site import Site
from molecule.cli import local_process
from molecule.cli.local_process import Member, ProcessMark
from molecule.cli.waiting import until

_WAITING = "import signal; signal.pause()"


class _Node:
    """One process, where the processes of a node would be."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.nodes = ("n1",)
        self.marks: list[ProcessMark] = []
        self.local = SimpleNamespace()

    @property
    def mark(self) -> ProcessMark:
        return self.marks[-1]

    def members(self, _node: str, _role: str = "") -> list[Member]:
        return local_process.members(self.mark)

    def signal_one(self, _node: str, pid: int, number: signal.Signals) -> bool:
        return local_process.send(self.mark, pid, number)

    async def start(self, *_nodes: str) -> None:
        command = [sys.executable, "-c", _WAITING]
        log = self._folder / "log"
        self.marks.append(local_process.start(command, log=log, environ=os.environ))

    async def stop(self, _node: str) -> None:
        await local_process.stop(self.mark, grace_s=5)

    async def ready(self, *_nodes: str) -> None:
        """Always."""

    @property
    def as_site(self) -> Site:
        return cast("Site", self)


@pytest.fixture
async def node(tmp_path: Path) -> _Node:
    made = _Node(tmp_path)
    await made.start()
    return made


async def test_a_freeze_is_seen_from_its_beginning_to_its_end(node: _Node) -> None:
    fault = Freeze(("n1",), False, 0.0)
    await fault.begin(node.as_site)

    assert (await fault.confirm(node.as_site))["until_the_end"] == 1

    await fault.end(node.as_site)
    await node.stop("n1")


@pytest.mark.parametrize("number", [signal.SIGCONT, signal.SIGKILL])
async def test_a_freeze_that_somebody_ended_is_none(node: _Node, number: signal.Signals) -> None:
    fault = Freeze(("n1",), False, 1.0)
    await fault.begin(node.as_site)
    confirming = asyncio.create_task(fault.confirm(node.as_site))

    async def is_stopped() -> bool | None:
        return node.members("n1")[0].state == "T" or None

    await until(is_stopped, what="a stopped process", within_s=20)
    await asyncio.sleep(0.2)  # the fault has seen it, too, and waits for its end
    local_process.send(node.mark, node.mark.pid, number)

    with pytest.raises(NotConfirmed):
        await confirming

    await fault.end(node.as_site)
    await node.stop("n1")


async def test_a_rolling_restart_leaves_no_process_of_before(node: _Node) -> None:
    fault = RollingRestart(("n1",))
    await fault.begin(node.as_site)

    assert await fault.confirm(node.as_site) == {"processes_replaced": 1}

    await node.stop("n1")


async def test_a_restart_of_nothing_is_not_confirmed(node: _Node) -> None:
    await node.stop("n1")
    fault = RollingRestart(("n1",))
    await fault.begin(node.as_site)

    with pytest.raises(NotConfirmed):
        await fault.confirm(node.as_site)

    await node.stop("n1")
