"""Kills and freezes of a local node are confirmed by the kernel, on processes that do nothing."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from molecule.chaos import processes
from molecule.chaos.faults import NotConfirmed, NotHealed
from molecule.chaos.processes import Freeze, Kill, KillWorker
from molecule.cli import local_files, local_process
from molecule.cli.local import LocalCluster, LocalError
from molecule.cli.local_files import Layout, NodePlace
from molecule.cli.local_process import ProcessMark


@pytest.fixture
def local(tmp_path: Path) -> LocalCluster:
    return LocalCluster(local_files.make((tmp_path / "c").resolve(), Layout(nodes=1)))


@pytest.fixture
def mark(local: LocalCluster) -> Iterator[ProcessMark]:
    """A process that stands for the node n1."""
    idle = shutil.which("sleep") or "/bin/sleep"
    node = local.node("n1")
    mark = local_process.start([idle, "600"], log=node.log, environ=os.environ)
    told = {"pid": mark.pid, "started_ticks": mark.started_ticks}
    (node.folder / "supervisor.json").write_text(json.dumps(told))
    yield mark
    local_process.signal_all(mark, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(mark.pid, 0)


async def test_a_kill_is_confirmed_by_nothing_being_left(
    local: LocalCluster, mark: ProcessMark
) -> None:
    fault = Kill(local, ("n1",), down_s=0)
    await fault.begin()

    assert (await fault.confirm())["processes_left"] == 0
    assert not local_process.is_running(mark)


async def test_a_kill_that_is_not_felt_is_not_confirmed(
    local: LocalCluster, mark: ProcessMark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_SEEN_WITHIN_S", 0.02)
    fault = Kill(local, ("n1",), down_s=0)
    with monkeypatch.context() as felt:
        felt.setattr(local_process, "signal_all", lambda *_: 0)
        await fault.begin()

    with pytest.raises(NotConfirmed):
        await fault.confirm()
    assert local_process.is_running(mark)


@pytest.mark.parametrize("kind", ["kill", "freeze"])
async def test_a_node_that_was_not_running_confirms_nothing(local: LocalCluster, kind: str) -> None:
    fault = Kill(local, ("n1",), 0) if kind == "kill" else Freeze(local, ("n1",), 0)
    await fault.begin()

    with pytest.raises(NotConfirmed, match="n1 was not running"):
        await fault.confirm()


async def test_a_freeze_is_confirmed_by_the_kernel(local: LocalCluster, mark: ProcessMark) -> None:
    fault = Freeze(local, ("n1",), seconds=0)
    await fault.begin()

    assert await fault.confirm() == {"stopped_processes": 1, "until_the_end": 1, "seconds": 0}
    assert [member.state for member in local_process.members(mark)] == ["T"]


@pytest.mark.parametrize(
    ("number", "told"),
    [(signal.SIGCONT, "did not stay stopped"), (signal.SIGKILL, "ended while it was stopped")],
)
async def test_a_freeze_is_looked_at_again_at_its_end(
    local: LocalCluster,
    mark: ProcessMark,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    told: str,
) -> None:
    """Somebody wakes it, or ends it, while it should stand still."""
    fault = Freeze(local, ("n1",), seconds=1)
    await fault.begin()

    async def meanwhile(_seconds: float) -> None:
        os.kill(mark.pid, number)
        while [one.state for one in local_process.members(mark)] == ["T"]:
            os.sched_yield()

    monkeypatch.setattr(asyncio, "sleep", meanwhile)

    with pytest.raises(NotConfirmed, match=told):
        await fault.confirm()


async def test_a_node_without_a_worker_confirms_no_kill_of_one(
    local: LocalCluster, mark: ProcessMark
) -> None:
    assert local_process.is_running(mark)

    with pytest.raises(NotConfirmed, match="n1 has no worker"):
        await KillWorker(local, "n1").begin()


async def test_whatever_was_stopped_goes_on(
    local: LocalCluster, mark: ProcessMark, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ready(*_: object, **__: object) -> None:
        pass

    monkeypatch.setattr(LocalCluster, "ready", ready)
    os.kill(mark.pid, signal.SIGSTOP)

    await processes.revive(local, ("n1",))

    while [one.state for one in local_process.members(mark)] == ["T"]:
        os.sched_yield()
    assert local_process.is_running(mark)


async def test_a_node_that_does_not_come_back_is_told(
    local: LocalCluster, mark: ProcessMark, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ready(_: LocalCluster, node: NodePlace, **__: object) -> None:
        raise LocalError(f"node {node.id} ended at once")

    monkeypatch.setattr(LocalCluster, "ready", ready)

    with pytest.raises(NotHealed, match="n1 ended at once"):
        await processes.revive(local, ("n1",))
    assert local_process.is_running(mark)
