"""Processes of local nodes: sessions are found, frozen, killed and never mistaken."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from molecule.cli import local_process
from molecule.cli.local_process import ProcessMark
from molecule.cli.waiting import until

WAITING = "import signal; signal.pause()"
PARENT_OF_ONE = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WAITING!r}])"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); signal.pause()"


def started(tmp_path: Path, code: str) -> ProcessMark:
    command = [sys.executable, "-u", "-c", code]
    return local_process.start(command, log=tmp_path / "log", environ=os.environ)


async def members_become(mark: ProcessMark, count: int) -> None:
    async def look() -> bool | None:
        return True if len(local_process.members(mark)) == count else None

    await until(look, what=f"{count} members", within_s=20)


async def test_a_session_holds_the_children_too(tmp_path: Path) -> None:
    mark = started(tmp_path, PARENT_OF_ONE)
    await members_become(mark, 2)
    assert local_process.signal_all(mark, signal.SIGKILL) == 2
    await local_process.until_gone(mark, within_s=20)
    assert not local_process.is_running(mark)


async def test_children_are_found_after_their_leader_was_killed(tmp_path: Path) -> None:
    mark = started(tmp_path, PARENT_OF_ONE)
    await members_become(mark, 2)
    os.kill(mark.pid, signal.SIGKILL)
    await members_become(mark, 1)
    await local_process.stop(mark, grace_s=1)
    assert local_process.members(mark) == []


async def test_a_process_with_the_same_number_is_not_touched(tmp_path: Path) -> None:
    mark = started(tmp_path, PARENT_OF_ONE)
    stranger = replace(mark, started_ticks=mark.started_ticks - 1)
    assert local_process.members(stranger) == []
    assert local_process.signal_all(stranger, signal.SIGKILL) == 0
    assert local_process.is_running(mark)
    await local_process.stop(mark, grace_s=5)


async def test_a_process_that_will_not_end_is_killed(tmp_path: Path) -> None:
    mark = started(tmp_path, STUBBORN)

    async def is_deaf() -> bool | None:
        return True if (tmp_path / "log").read_text() else None

    await until(is_deaf, what="the process to ignore the request", within_s=20)
    await local_process.stop(mark, grace_s=0.5)
    assert not local_process.is_running(mark)


async def test_a_frozen_session_is_stopped_and_wakes(tmp_path: Path) -> None:
    mark = started(tmp_path, PARENT_OF_ONE)
    await members_become(mark, 2)
    local_process.signal_all(mark, signal.SIGSTOP)

    async def all_are(states: str) -> bool | None:
        return True if all(each.state in states for each in local_process.members(mark)) else None

    await until(lambda: all_are("T"), what="frozen", within_s=20)
    local_process.signal_all(mark, signal.SIGCONT)
    await until(lambda: all_are("RS"), what="awake", within_s=20)
    await local_process.stop(mark, grace_s=5)


async def test_a_signal_to_one_process_reaches_no_other_session(tmp_path: Path) -> None:
    mark, other = started(tmp_path, PARENT_OF_ONE), started(tmp_path, WAITING)
    await members_become(mark, 2)
    child = next(each.pid for each in local_process.members(mark) if each.pid != mark.pid)

    assert not local_process.send(mark, other.pid, signal.SIGKILL)
    assert local_process.send(mark, child, signal.SIGKILL)

    await local_process.until_gone(mark, within_s=20)
    assert not local_process.send(mark, child, signal.SIGKILL)
    assert local_process.is_running(other)
    await local_process.stop(other, grace_s=5)
