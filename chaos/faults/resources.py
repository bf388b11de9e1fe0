"""A node that lacks processor time, a worker without memory, a process without descriptors.

Made by signals and by limits of living processes, so no right is needed. What confirms them is
what the kernel tells of the processes, workers that start in vain, and a door that takes nobody.
"""

import asyncio
import contextlib
import os
import random
import resource
import signal
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chaos.faults.fault import Aim, Fault, FaultKind, NotConfirmed
from chaos.runner.site import Site
from molecule.cli.local_process import Member
from molecule.cli.waiting import NotInTime, until

_PROCESSES: Final = Path("/proc")
_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
_SEEN_WITHIN_S: Final = 30.0
_STARVED_S: Final = (4.0, 8.0)
_CYCLE_S: Final = 0.2
_SHARE: Final = 0.1
_SPARE_BYTES: Final = 2**24
_STARTED_IN_VAIN: Final = 2
_LOOK_S: Final = 0.02
_DOOR_S: Final = 2.0

Limits = tuple[int, int]
"""What a process may have, and what it may ask for at most."""


@dataclass(slots=True)
class Starved:
    """Every process of a node runs for a tenth of the time, in small pieces."""

    nodes: tuple[str, ...]
    seconds: float
    unseats: bool = False
    kind: str = "starved"

    async def begin(self, site: Site) -> None:
        """The first piece without."""
        self._send(site, signal.SIGSTOP)

    async def confirm(self, site: Site) -> dict[str, Any]:
        """The kernel tells it as stopped again and again, and counts some processor time."""
        before = _ticks(site.members(self.nodes[0]))
        began_s = time.monotonic()
        cycles = stopped = 0
        while time.monotonic() - began_s < self.seconds:
            await asyncio.sleep(_CYCLE_S * (1 - _SHARE))
            cycles += 1
            states = [one.state for one in site.members(self.nodes[0])]
            stopped += bool(states) and set(states) == {"T"}
            self._send(site, signal.SIGCONT)
            await asyncio.sleep(_CYCLE_S * _SHARE)
            self._send(site, signal.SIGSTOP)
        lasted_s = time.monotonic() - began_s
        after = _ticks(site.members(self.nodes[0]))
        used_s = sum(after[pid] - before.get(pid, 0) for pid in after) / _TICKS_A_SECOND
        evidence = {
            "cycles": cycles,
            "seen_stopped": stopped,
            "seconds": round(lasted_s, 1),
            "share_of_a_processor": round(used_s / lasted_s, 3),
        }
        if not used_s or stopped * 2 < cycles:
            raise NotConfirmed(f"it was not starved: {evidence}")
        return evidence

    async def end(self, site: Site) -> None:
        """Twice over, as new processes may be starting."""
        for _ in range(2):
            self._send(site, signal.SIGCONT)
        await site.ready(*self.nodes)

    def _send(self, site: Site, number: signal.Signals) -> None:
        for member in site.members(self.nodes[0]):
            site.signal_one(self.nodes[0], member.pid, number)


@dataclass(slots=True)
class OutOfMemory:
    """The workers of a node are killed, as the kernel does it, and new ones get too little to live.

    What limits them they inherit from their supervisor, which has all that it needs itself.
    """

    nodes: tuple[str, ...]
    unseats: bool = False
    kind: str = "out_of_memory"
    seen_within_s: float = _SEEN_WITHIN_S
    _before: dict[int, Limits] = field(default_factory=dict)
    _killed: set[int] = field(default_factory=set)

    async def begin(self, site: Site) -> None:
        """First the limit, so that nobody is started without."""
        for member in site.members(self.nodes[0], "supervisor"):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                limit = _address_space(member.pid) + _SPARE_BYTES
                self._before[member.pid] = _limit(member.pid, resource.RLIMIT_AS, limit)
        for member in site.members(self.nodes[0], "worker"):
            self._killed.add(member.pid)
            site.signal_one(self.nodes[0], member.pid, signal.SIGKILL)

    async def confirm(self, site: Site) -> dict[str, Any]:
        """Several new workers were started and are gone again."""
        seen: set[int] = set()

        async def look() -> list[int] | None:
            living = {member.pid for member in site.members(self.nodes[0], "worker")}
            seen.update(living - self._killed)
            ended = sorted(seen - living)
            return ended if len(ended) >= _STARTED_IN_VAIN else None

        if not self._killed:
            raise NotConfirmed(f"{self.nodes[0]} had no worker")
        try:
            ended = await until(
                look,
                what="workers that end for lack of memory",
                within_s=self.seen_within_s,
                pause_s=_LOOK_S,
            )
        except NotInTime as error:
            raise NotConfirmed(f"{error}: {sorted(seen)}") from None
        return {"killed": sorted(self._killed), "started_in_vain": ended}

    async def end(self, site: Site) -> None:
        """As much as before, also for those that were started meanwhile."""
        _restore(self._before, resource.RLIMIT_AS)
        for limits in self._before.values():
            heirs = {member.pid: limits for member in site.members(self.nodes[0])}
            _restore(heirs, resource.RLIMIT_AS)
        await site.back(self.nodes[0])


@dataclass(slots=True)
class OutOfDescriptors:
    """A process of a node can open nothing more: no connection, no file."""

    nodes: tuple[str, ...]
    role: str
    seconds: float
    unseats: bool = False
    kind: str = "out_of_descriptors"
    seen_within_s: float = _SEEN_WITHIN_S
    door_s: float = _DOOR_S
    """A caller who waits longer is not served."""
    _before: dict[int, Limits] = field(default_factory=dict)

    async def begin(self, site: Site) -> None:
        """The lowest number that is free is the first that it may not have."""
        for member in site.members(self.nodes[0], self.role):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                self._before[member.pid] = _limit(
                    member.pid, resource.RLIMIT_NOFILE, _lowest_free(member.pid)
                )

    async def confirm(self, site: Site) -> dict[str, Any]:
        """Whoever dials it is not served."""
        if not self._before:
            raise NotConfirmed(f"{self.nodes[0]} had no process {self.role}")
        place = site.local.node(self.nodes[0])
        address = place.http if self.role == "gateway" else place.rpc

        async def look() -> str | None:
            return await _refusal(address, within_s=self.door_s)

        try:
            refused = await until(
                look, what="a caller that is not served", within_s=self.seen_within_s
            )
        except NotInTime as error:
            raise NotConfirmed(str(error)) from None
        await asyncio.sleep(self.seconds)
        return {"refused": refused, "limits": {str(pid): _now(pid) for pid in self._before}}

    async def end(self, site: Site) -> None:
        """As many as before; a node that ended of it is started again."""
        _restore(self._before, resource.RLIMIT_NOFILE)
        await site.back(self.nodes[0])


def _ticks(members: list[Member]) -> dict[int, int]:
    """By process: the ticks of processor time that it has used."""
    found = {}
    for member in members:
        with contextlib.suppress(OSError):
            text = (_PROCESSES / str(member.pid) / "stat").read_text(errors="replace")
            fields = text.rpartition(")")[2].split()
            found[member.pid] = int(fields[11]) + int(fields[12])
    return found


def _address_space(pid: int) -> int:
    pages = (_PROCESSES / str(pid) / "statm").read_text().split()[0]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _limit(pid: int, what: int, soft: int) -> Limits:
    """Set a soft limit of a living process; what the limits were."""
    before = resource.prlimit(pid, what)
    hard = before[1]
    resource.prlimit(pid, what, (soft if hard < 0 else min(soft, hard), hard))
    return before


def _now(pid: int) -> int:
    with contextlib.suppress(ProcessLookupError):
        return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
    return 0


def _restore(before: dict[int, Limits], what: int) -> None:
    for pid, limits in before.items():
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, what, limits)


def _lowest_free(pid: int) -> int:
    taken = {int(path.name) for path in (_PROCESSES / str(pid) / "fd").iterdir()}
    return next(number for number in range(len(taken) + 1) if number not in taken)


async def _refusal(address: str, *, within_s: float) -> str | None:
    """How a new caller fared who wants to speak TLS; None: it was answered in some way."""
    host, _, port = address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whether anybody answers is asked, not who.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(host, int(port), ssl=context)
            writer.close()
    except ssl.SSLError:
        return None
    except TimeoutError:
        return f"no answer within {within_s} s"
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return None


def _starved(rng: random.Random, nodes: tuple[str, ...], _aim: Aim) -> Fault:
    return Starved(nodes, rng.choice(_STARVED_S))


def _descriptors(rng: random.Random, nodes: tuple[str, ...], _aim: Aim) -> Fault:
    return OutOfDescriptors(nodes, rng.choice(("gateway", "node")), rng.choice(_STARVED_S))


def _memory(_rng: random.Random, nodes: tuple[str, ...], _aim: Aim) -> Fault:
    return OutOfMemory(nodes)


_NODES: Final = (Aim.LEADER, Aim.BUSY, Aim.IDLE)
KINDS: Final = (
    FaultKind("starved", _NODES, _starved),
    FaultKind("out_of_memory", (Aim.LEADER, Aim.BUSY), _memory),
    FaultKind("out_of_descriptors", _NODES, _descriptors),
)
