"""Syncs that fail or take long: strace on the living node process changes what its calls return.

What confirms it is strace's own record, which marks each call that it changed. Where syncs fail for
good, every process that the supervisor starts meanwhile is traced as well.
"""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chaos.faults.fault import Aim, Fault, FaultKind, NotConfirmed
from chaos.runner.site import Site
from molecule.cli.waiting import NotInTime, until

_CALLS: Final = "fsync,fdatasync"
_HIT_WITHIN_S: Final = 20.0
_LETS_GO_WITHIN_S: Final = 3.0
_SECONDS: Final = (1.0, 6.0)
_SLOW_US: Final = (150_000, 500_000, 2_000_000)
_FOR_GOOD_S: Final = (3.0, 8.0)


@dataclass(slots=True)
class Syncs:
    """The syncs of one node process are changed for a while."""

    kind: str
    nodes: tuple[str, ...]
    unseats: bool
    change: str
    """What strace makes of each call, in its words."""
    mark: str
    """How its record marks a call that was changed."""
    seconds: float
    for_good: bool = False
    """Of every life of the node process until the end; the first one has to end of it."""
    hits_within_s: float = _HIT_WITHIN_S
    _pid: int = 0
    _record: Path | None = None
    _tracer: asyncio.subprocess.Process | None = None

    async def begin(self, site: Site) -> None:
        """Attach to the node process and all of its threads."""
        found = site.members(self.nodes[0], "node")
        if not found:
            return
        descriptor, name = tempfile.mkstemp(prefix="molecule-syncs-")
        os.close(descriptor)
        self._record = Path(name)
        arguments = ["-f", "-qq", "-o", name, "-e", f"trace={_CALLS}"]
        self._pid = found[0].pid
        arguments += ["-e", f"inject={_CALLS}:{self.change}", "-p", str(self._pid)]
        if self.for_good:
            for supervisor in site.members(self.nodes[0], "supervisor"):
                arguments += ["-p", str(supervisor.pid)]
        self._tracer = await asyncio.create_subprocess_exec(
            "strace", *arguments, stderr=asyncio.subprocess.DEVNULL
        )

    async def confirm(self, site: Site) -> dict[str, Any]:
        """At least one call was changed; of it the process ended, if syncs fail for good."""

        async def look() -> int | None:
            return self._changed() or None

        async def has_ended() -> bool | None:
            members = site.members(self.nodes[0], "node")
            return None if self._pid in [member.pid for member in members] else True

        try:
            await until(look, what="a sync that was changed", within_s=self.hits_within_s)
            if self.for_good:
                await until(has_ended, what="the end of its process", within_s=self.hits_within_s)
        except NotInTime as error:
            raise NotConfirmed(str(error)) from None
        await asyncio.sleep(self.seconds)
        return {"syncs_changed": self._changed(), "change": self.change}

    async def end(self, site: Site) -> None:
        """Let go of the process; one that ended of it is started again by its supervisor.

        A node that met the failure while it started has ended as a whole, and a person starts it.
        """
        if self._tracer is not None:
            await _let_go(self._tracer)
        if self._record is not None:
            self._record.unlink(missing_ok=True)
        if self.for_good:
            await site.back(self.nodes[0])
        else:
            await site.ready(*self.nodes)

    def _changed(self) -> int:
        if self._record is None:
            return 0
        return self._record.read_text(encoding="utf-8", errors="replace").count(self.mark)


async def _let_go(tracer: asyncio.subprocess.Process) -> None:
    """End it. While its process dies, strace can wait for ever for a thread, the dead with it."""
    with contextlib.suppress(ProcessLookupError):
        tracer.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_LETS_GO_WITHIN_S):
            await tracer.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            tracer.kill()
        await tracer.wait()


def why_not() -> str:
    """Why syncs cannot be changed here; empty: they can."""
    if shutil.which("strace") is None:
        return "strace is missing"
    # Attaching to a process needs more than starting one.
    victim = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        tried = subprocess.run(
            ["timeout", "--signal=TERM", "1", "strace", "-qq", "-p", str(victim.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        victim.kill()
        victim.communicate()
    if "Operation not permitted" in tried.stderr:
        return "strace cannot attach to a process here"
    return ""


def _fails(rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    del rng
    unseats = aim is Aim.LEADER
    return Syncs("sync_fails", nodes, unseats, "error=EIO:when=1", "(INJECTED)", 0.0)


def _fails_for_good(rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    unseats, seconds = aim is Aim.LEADER, rng.choice(_FOR_GOOD_S)
    kind = "sync_fails_for_good"
    return Syncs(kind, nodes, unseats, "error=EIO", "(INJECTED)", seconds, for_good=True)


def _slow(rng: random.Random, nodes: tuple[str, ...], _aim: Aim) -> Fault:
    change = f"delay_enter={rng.choice(_SLOW_US)}"
    return Syncs("sync_slow", nodes, False, change, "(DELAYED)", rng.choice(_SECONDS))


_AIMS: Final = (Aim.LEADER, Aim.BUSY, Aim.IDLE)
KINDS: Final = (
    FaultKind("sync_fails", _AIMS, _fails, why_not),
    FaultKind("sync_fails_for_good", _AIMS, _fails_for_good, why_not),
    FaultKind("sync_slow", _AIMS, _slow, why_not),
)
