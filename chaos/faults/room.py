"""Disks of nodes that are full, or that broke and are read-only; each node has one of its own.

What confirms a full one is that nothing is free and the node calls it so; a broken one, that the
kernel refuses a write and the node says so in its log.
"""

import asyncio
import errno
import random
import signal
import time
from dataclasses import dataclass
from typing import Any, Final

from chaos.faults.fault import Aim, Fault, FaultKind, NotConfirmed
from chaos.runner import volumes
from chaos.runner.site import READY_WITHIN_S, Need, Site
from molecule.cli.waiting import NotInTime, until

_SEEN_WITHIN_S: Final = 20.0
_SECONDS: Final = (1.0, 5.0)
_GREEDY: Final = 0.5
"""So often."""
_GREEDY_EVERY_S: Final = 0.05
_FULL: Final = "no_submissions"
_SAYS_READ_ONLY: Final = ("read-only", "readonly")


@dataclass(slots=True)
class Full:
    """Another program takes all the room on the disk of a node, and gives it back later."""

    nodes: tuple[str, ...]
    seconds: float
    is_greedy: bool
    """It takes what the node lets go of its reserve, too."""
    unseats: bool = False
    kind: str = "disk_full"
    seen_within_s: float = _SEEN_WITHIN_S

    async def begin(self, site: Site) -> None:
        """To the last block."""
        for node in self.nodes:
            site.volumes[node].fill()

    async def confirm(self, site: Site) -> dict[str, Any]:
        """Nothing is free, or only what the node let go of its reserve; it calls itself full."""
        free = {node: site.volumes[node].free_bytes() for node in self.nodes}
        try:
            await _level_is(site, self.nodes, is_full=True, within_s=self.seen_within_s)
        except NotInTime as error:
            raise NotConfirmed(f"{error}: {free}") from None
        end_s = time.monotonic() + self.seconds
        while time.monotonic() < end_s:
            await asyncio.sleep(_GREEDY_EVERY_S)
            if self.is_greedy:
                for node in self.nodes:
                    site.volumes[node].fill()
        left = {node: site.volumes[node].free_bytes() for node in self.nodes}
        evidence = {"is_greedy": self.is_greedy, "level": _FULL}
        return {**evidence, "free_bytes": free, "free_bytes_at_the_end": left}

    async def end(self, site: Site) -> None:
        """There is room again; a node that could not start without is started."""
        for node in self.nodes:
            site.volumes[node].empty()
        for node in self.nodes:
            await site.back(node)
        await _level_is(site, self.nodes, is_full=False, within_s=READY_WITHIN_S)


@dataclass(slots=True)
class ReadOnly:
    """The file system of a node met an error: it refuses every write until it is mounted anew."""

    nodes: tuple[str, ...]
    unseats: bool
    kind: str = "read_only"
    seen_within_s: float = _SEEN_WITHIN_S
    _log_bytes: int = 0

    async def begin(self, site: Site) -> None:
        """With every file open as it is."""
        (node,) = self.nodes
        site.down.add(node)
        self._log_bytes = site.local.node(node).log.stat().st_size
        site.volumes[node].fail()

    async def confirm(self, site: Site) -> dict[str, Any]:
        """The kernel refuses, and the node says in its log that it was refused."""
        (node,) = self.nodes
        try:
            (site.volumes[node].root / "probe").touch()
        except OSError as error:
            refused = errno.errorcode[error.errno or 0]
        else:
            raise NotConfirmed("a file could be made")

        async def look() -> str | None:
            with site.local.node(node).log.open(encoding="utf-8", errors="replace") as log:
                log.seek(self._log_bytes)
                lines = [
                    line for line in log if any(word in line.lower() for word in _SAYS_READ_ONLY)
                ]
            return lines[0].strip() if lines else None

        try:
            told = await until(look, what="a word of a read-only disk", within_s=self.seen_within_s)
        except NotInTime as error:
            raise NotConfirmed(str(error)) from None
        return {"errno": refused, "told": told[:500]}

    async def end(self, site: Site) -> None:
        """What is left of the node is ended; its disk is checked, mounted again, and it starts."""
        (node,) = self.nodes
        site.signal(node, signal.SIGKILL)
        await site.gone(node)
        await site.volumes[node].mend()
        await site.start(node)


async def _level_is(site: Site, nodes: tuple[str, ...], *, is_full: bool, within_s: float) -> None:
    async def look() -> bool | None:
        for node in nodes:
            told = await site.get(node, "/api/v1/retention")
            if not isinstance(told, dict) or (told.get("level") == _FULL) is not is_full:
                return None
        return True

    what = "its node to call it full" if is_full else "its node to call it full no more"
    await until(look, what=what, within_s=within_s)


def _full(rng: random.Random, nodes: tuple[str, ...], _aim: Aim) -> Fault:
    return Full(nodes, rng.choice(_SECONDS), is_greedy=rng.random() < _GREEDY)


def _read_only(_rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    return ReadOnly(nodes, unseats=aim is Aim.LEADER)


_NEEDS: Final = frozenset({Need.VOLUMES})
_NODES: Final = (Aim.LEADER, Aim.BUSY, Aim.IDLE)
KINDS: Final = (
    FaultKind("disk_full", (*_NODES, Aim.ALL), _full, volumes.why_not, needs=_NEEDS),
    FaultKind("read_only", _NODES, _read_only, volumes.why_not, needs=_NEEDS),
)
