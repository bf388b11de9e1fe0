"""Whoever ends the demo in the middle leaves nothing running: with Ctrl-C, or with its terminal."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from molecule.cli.waiting import until

_CTRL_C = b"\x03"
_WITHIN_S = 90.0

# The terminal becomes that of the demo's session, so that the kernel signals it as in a window,
# also when this suite itself runs under `nohup`.
_IN_TERMINAL = (
    "import fcntl, os, signal, sys, termios; "
    "signal.signal(signal.SIGHUP, signal.SIG_DFL); "
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


class Terminal:
    """The demo in a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ours, theirs = os.openpty()
        command = [sys.executable, "-c", _IN_TERMINAL, "-m", "molecule", "demo", "--plain"]
        self.demo = subprocess.Popen(
            [*command, "--folder", str(folder)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # What cannot be written any more waits in the streams, as it does for users.
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        )
        os.close(theirs)
        self.is_open = True

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            os.close(self.ours)

    def processes(self) -> list[int]:
        """Whatever the run started and is still there: it names the folder somewhere."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == self.demo.pid:
                continue
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(self.folder).encode() in told:
                found.append(int(entry.name))
        return found

    async def nodes_are_started(self) -> None:
        marks = [self.folder / "cluster" / node / "supervisor.json" for node in ("n1", "n2", "n3")]

        async def look() -> bool | None:
            assert self.demo.poll() is None
            return all(mark.exists() for mark in marks) or None

        await until(look, what="the nodes of the demo", within_s=_WITHIN_S)

    async def ended(self) -> int:
        async def look() -> int | None:
            code = self.demo.poll()
            # None is what is waited for; 0 is an answer, too.
            return None if code is None else 1_000 + code

        return await until(look, what="the end of the demo", within_s=_WITHIN_S) - 1_000


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "demo")
    yield made
    made.close()
    for pid in [*made.processes(), made.demo.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    made.demo.wait()


@pytest.mark.parametrize(
    ("pressed", "first"),
    # Of two signals that wait at the same time the kernel may give either first.
    [(_CTRL_C, {signal.SIGINT, signal.SIGHUP}), (b"", {signal.SIGHUP})],
    ids=["interrupted-then-closed", "closed"],
)
async def test_a_demo_whose_terminal_is_closed_leaves_nothing_running(
    terminal: Terminal, pressed: bytes, first: set[signal.Signals]
) -> None:
    await terminal.nodes_are_started()
    assert terminal.processes()
    os.write(terminal.ours, pressed)
    # Ctrl-C is a signal once the terminal has read it, which its echo shows.
    while pressed and b"^C" not in os.read(terminal.ours, 1024):
        continue
    terminal.close()
    assert await terminal.ended() in {128 + number for number in first}
    assert terminal.processes() == []
