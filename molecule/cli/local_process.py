"""Processes of local nodes: started in a session each, found again later, signalled as a whole.

A node is a session: its supervisor and every process that one started. What must stay true: a
signal only goes to a session whose leader was started by us, which its pid alone does not prove.
"""

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from molecule.cli.waiting import NotInTime, until

_PROCESSES: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """A process beyond doubt: its pid, and when it began in ticks since the machine started."""

    pid: int
    started_ticks: int


@dataclass(frozen=True, slots=True)
class Member:
    """A living process of a session."""

    pid: int
    command: str
    state: str


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    session: int
    started_ticks: int


def start(command: Sequence[str], *, log: Path, environ: Mapping[str, str]) -> ProcessMark:
    """Start a process as leader of its own session, its output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    appending = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        command[0],
        list(command),
        environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), appending, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    stat = _stat(pid)
    return ProcessMark(pid, stat.started_ticks if stat else 0)


def own() -> ProcessMark:
    """The process that asks."""
    stat = _stat(os.getpid())
    return ProcessMark(os.getpid(), stat.started_ticks if stat else 0)


def is_running(mark: ProcessMark) -> bool:
    """True while this very process lives; a zombie does not."""
    _reap(mark.pid)
    stat = _stat(mark.pid)
    return stat is not None and stat.started_ticks == mark.started_ticks and stat.state not in "ZX"


def members(mark: ProcessMark) -> list[Member]:
    """The living processes of the session that this process leads or led.

    Members outlive a leader that was killed; none of them is older than it was. A leader with the
    same number and another start means that the number has been given to somebody else.
    """
    _reap(mark.pid)
    leader = _stat(mark.pid)
    if leader is not None and leader.started_ticks != mark.started_ticks:
        return []
    found = []
    for entry in _PROCESSES.iterdir():
        if not entry.name.isdigit():
            continue
        stat = _stat(int(entry.name))
        if (
            stat is not None
            and stat.session == mark.pid
            and stat.started_ticks >= mark.started_ticks
            and stat.state not in "ZX"
        ):
            found.append(Member(int(entry.name), _command(int(entry.name)), stat.state))
    return sorted(found, key=lambda member: member.pid)


def signal_all(mark: ProcessMark, number: signal.Signals) -> int:
    """Send a signal to every process of the session, twice over, as new ones may be starting."""
    reached: set[int] = set()
    for _ in range(2):
        reached |= {each.pid for each in members(mark) if send(mark, each.pid, number)}
    return len(reached)


def send(mark: ProcessMark, pid: int, number: signal.Signals) -> bool:
    """Signal one process of the session; False when it is gone, whoever has its number now."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # Looked at behind the opening: what is seen now is what the signal goes to.
        stat = _stat(pid)
        if stat is None or stat.session != mark.pid or stat.state in "ZX":
            return False
        signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(process)
    return True


async def stop(mark: ProcessMark, *, grace_s: float) -> None:
    """Ask the leader to end; kill what is left of the session when it does not in time."""
    if is_running(mark):
        send(mark, mark.pid, signal.SIGCONT)
        send(mark, mark.pid, signal.SIGTERM)
    with contextlib.suppress(NotInTime):
        await until_gone(mark, within_s=grace_s)
    signal_all(mark, signal.SIGKILL)
    await until_gone(mark, within_s=grace_s)


async def until_gone(mark: ProcessMark, *, within_s: float) -> None:
    """Wait until no process of the session lives."""

    async def look() -> bool | None:
        return None if members(mark) else True

    await until(look, what=f"the end of process {mark.pid} and its children", within_s=within_s)


def _stat(pid: int) -> _Stat | None:
    try:
        text = (_PROCESSES / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return _Stat(state=fields[0], session=int(fields[3]), started_ticks=int(fields[19]))


def _command(pid: int) -> str:
    try:
        raw = (_PROCESSES / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def _reap(pid: int) -> None:
    """Take a dead child off the process table; does nothing for a process that is not our child."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
