"""A node is killed and its disk damaged while it is down: it mends that itself, or does not start.

What confirms it is what the node says then: a refusal in its log, or a doubt in its journal; of an
older copy the others tell it. What was refused is healed as the message advises, by a copy of the
same moment or, in runs that cut no links, by letting the node join again with an empty folder.
"""

import asyncio
import os
import random
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chaos.faults import wounds
from chaos.faults.fault import Aim, Fault, FaultKind, NotConfirmed
from chaos.faults.wounds import MENDED, REFUSED, NothingToDamage, Wound
from chaos.runner import members
from chaos.runner.site import Site, log_lines
from molecule.cli.local import LocalError
from molecule.cli.waiting import NotInTime, until

_SEEN_WITHIN_S: Final = 60.0
_REFUSAL: Final = "cannot run:"
_IS_OLDER: Final = "disk_is_older"
_KEPT: Final = "data.kept"
_RESERVE: Final = "reserve"
_OLDER_S: Final = (1.0, 4.0)
JOINS_AGAIN: Final = "damage_and_rejoin"
"""The kind that changes the members of the cluster."""


@dataclass(slots=True)
class Damage:
    """One file of one node is not what it was when the node comes back."""

    kind: str
    nodes: tuple[str, ...]
    unseats: bool
    what: str
    """A name in `MENDED` or `REFUSED`."""
    rng: random.Random
    joins_again: bool = False
    """What was refused is emptied and let in anew; otherwise it gets its files back."""
    seen_within_s: float = _SEEN_WITHIN_S
    _is_refused: bool = False
    _done: str = ""
    _why_not: str = ""
    _doubts: int = 0
    _log_bytes: int = field(default=0)

    async def begin(self, site: Site) -> None:
        """Kill it, keep a copy, damage the original."""
        (node,) = self.nodes
        site.down.add(node)
        site.signal(node, signal.SIGKILL)
        await site.gone(node)
        place = site.local.node(node)
        await asyncio.to_thread(copied, place.data, place.folder / _KEPT)
        try:
            self._doubts = wounds.doubts(place.data)
            self._done = self._wound(self.rng, place.data)
            await asyncio.to_thread(make_durable, place.data)
        except NothingToDamage as reason:
            self._why_not = str(reason)
        self._log_bytes = place.log.stat().st_size

    async def confirm(self, site: Site) -> dict[str, Any]:
        """The node starts and says what it found."""
        (node,) = self.nodes
        if not self._done:
            raise NotConfirmed(f"nothing was damaged: {self._why_not}")
        site.launch(node)
        look = self._mended if self.what in MENDED else self._refused

        async def found() -> str | None:
            return look(site)

        try:
            told = await until(found, what=f"a word of {self.what}", within_s=self.seen_within_s)
        except NotInTime as error:
            raise NotConfirmed(f"{error}: {self._done}") from None
        if self._is_refused:
            await site.gone(node)
        return {"damage": self._done, "told": told, "joined_again": self.joins_again}

    async def end(self, site: Site) -> None:
        """Nothing but what an operator is told to do."""
        (node,) = self.nodes
        place = site.local.node(node)
        kept = place.folder / _KEPT
        if self._done and not self._is_refused:
            try:
                await site.ready(node)
            except LocalError:
                # It cut its tail, and then saw that the saved state includes what it cut.
                if self._refused(site) is None:
                    raise
        if self._is_refused and self.joins_again:
            await members.leaves_dead(site, node)
            await members.joins(site, node)
        elif self._is_refused or not self._done:
            # A copy half made is only there when nothing was damaged yet.
            if self._done:
                await asyncio.to_thread(put_back, kept, place.data)
            await site.start(node)
        site.down.discard(node)
        shutil.rmtree(kept, ignore_errors=True)

    @property
    def _wound(self) -> Wound:
        return {**MENDED, **REFUSED}[self.what]

    def _refused(self, site: Site) -> str | None:
        with site.local.node(self.nodes[0]).log.open(encoding="utf-8", errors="replace") as log:
            log.seek(self._log_bytes)
            told = [line.strip() for line in log if _REFUSAL in line]
        if told:
            self._is_refused = True
        return told[0] if told else None

    def _mended(self, site: Site) -> str | None:
        try:
            found = wounds.doubts(site.local.node(self.nodes[0]).data)
        except OSError:
            return None  # a segment was let go of meanwhile
        return f"a doubt at position {found}" if found > self._doubts else None


@dataclass(slots=True)
class OlderCopy:
    """The disk of a node is put back to what it was a while ago, as from a copy of the machine."""

    nodes: tuple[str, ...]
    unseats: bool
    seconds: float
    kind: str = "older_copy"
    seen_within_s: float = _SEEN_WITHIN_S
    _is_half_put_back: bool = False

    async def begin(self, site: Site) -> None:
        """A copy, some more work, and the copy in place of what the work left."""
        (node,) = self.nodes
        place = site.local.node(node)
        await self._end(site)
        await asyncio.to_thread(copied, place.data, place.folder / _KEPT)
        await site.start(node)
        await asyncio.sleep(self.seconds)
        await self._end(site)
        self._is_half_put_back = True
        await asyncio.to_thread(put_back, place.folder / _KEPT, place.data)
        self._is_half_put_back = False

    async def confirm(self, site: Site) -> dict[str, Any]:
        """Somebody told it that it had acknowledged more, and it says so in its log."""
        (node,) = self.nodes
        log = site.local.node(node).log
        before = log.stat().st_size
        site.launch(node)

        async def look() -> dict[str, Any] | None:
            lines, _ = log_lines(log, before)
            return next((line for line in lines if line.get("msg") == _IS_OLDER), None)

        try:
            told = await until(
                look, what="a node that knows of its age", within_s=self.seen_within_s
            )
        except NotInTime as error:
            raise NotConfirmed(str(error)) from None
        entries = {"acknowledged": told["acknowledged"], "held": told["here"]}
        return {"told_by": told["peer"], **entries, "older_by_s": self.seconds}

    async def end(self, site: Site) -> None:
        """The others give it what it lacks."""
        (node,) = self.nodes
        place = site.local.node(node)
        if self._is_half_put_back:
            await asyncio.to_thread(put_back, place.folder / _KEPT, place.data)
        await site.back(node)
        shutil.rmtree(place.folder / _KEPT, ignore_errors=True)

    async def _end(self, site: Site) -> None:
        (node,) = self.nodes
        site.down.add(node)
        site.signal(node, signal.SIGKILL)
        await site.gone(node)


def copied(data: Path, kept: Path) -> None:
    """All that it holds, but not the room that it keeps free."""
    shutil.copytree(data, kept, ignore=shutil.ignore_patterns(_RESERVE))


def put_back(kept: Path, data: Path) -> None:
    """What the folder held, durably."""
    members.empty(data)
    shutil.copytree(kept, data, dirs_exist_ok=True)
    make_durable(data)


def make_durable(folder: Path) -> None:
    """Sync every file and every folder: what loses power later keeps what was done here."""
    for path in (folder, *folder.rglob("*")):
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _damage(rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    what = rng.choice((*MENDED, *MENDED, *REFUSED))
    return Damage("damage", nodes, aim is Aim.LEADER, what, random.Random(rng.random()))


def _rejoin(rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    what = rng.choice(tuple(REFUSED))
    own = random.Random(rng.random())
    return Damage(JOINS_AGAIN, nodes, aim is Aim.LEADER, what, own, joins_again=True)


def _older(rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    return OlderCopy(nodes, aim is Aim.LEADER, rng.choice(_OLDER_S))


_AIMS: Final = (Aim.LEADER, Aim.BUSY, Aim.IDLE)
KINDS: Final = (
    FaultKind("damage", _AIMS, _damage, is_long=True),
    FaultKind(JOINS_AGAIN, _AIMS, _rejoin, is_long=True),
    FaultKind("older_copy", _AIMS, _older, is_alone=True, is_long=True),
)
