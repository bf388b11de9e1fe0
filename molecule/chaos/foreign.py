"""Faults of a cluster elsewhere: hooks make and heal them, the other nodes confirm them.

What must stay true: that a hook ended with 0 confirms nothing; what counts is what the cluster
itself tells of the victim. Every `end` is run, also when another one failed.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from molecule.chaos import hooks
from molecule.chaos.asking import Site
from molecule.chaos.faults import NotConfirmed, NotHealed
from molecule.chaos.hooks import Hook, HookFailed, Hooks
from molecule.cli.waiting import NotInTime, until

_BACK_WITHIN_S: Final = 180.0
_TRIES: Final = 3
_BETWEEN_TRIES_S: Final = 1.0
_LOOK_S: Final = 0.5


@dataclass(slots=True)
class Hooked:
    """One kind of fault at some nodes, by the user's commands."""

    site: Site
    given: Hooks
    hook: Hook
    nodes: tuple[str, ...]
    takes_majority: bool = False
    """Nobody is left who could take a node for down: that nobody leads is what shows."""
    _before: dict[str, int] = field(default_factory=dict)

    async def begin(self) -> None:
        """Run `begin` for each node."""
        rows = await self.site.nodes()
        self._before = {node: _incarnation(rows.get(node)) for node in self.nodes}
        for node in self.nodes:
            try:
                await hooks.run(self.hook.begin, node, timeout_s=self.given.timeout_s)
            except HookFailed as error:
                raise NotConfirmed(f"`begin` failed: {error}") from None

    async def confirm(self) -> dict[str, Any]:
        """The cluster takes each victim for down, or knows it in another life by now."""
        look = self._leaderless if self.takes_majority else self._down
        try:
            return await until(
                look,
                what=f"the cluster to notice it of {' '.join(self.nodes)}",
                within_s=self.given.seen_within_s,
                pause_s=_LOOK_S,
            )
        except NotInTime as error:
            raise NotConfirmed(str(error)) from None

    async def end(self) -> None:
        """Run `end` for each node and wait until the cluster takes all of them for up."""
        await run_ends(self.hook.end, self.nodes, timeout_s=self.given.timeout_s)
        await until_up(self.site, self.nodes)

    async def _down(self) -> dict[str, Any] | None:
        rows = await self.site.nodes()
        found = {}
        for node in self.nodes:
            row = rows.get(node)
            if row is None:
                return None
            if row.get("up") is False:
                found[node] = f"down: {row.get('lost_reason') or 'no reason told'}"
            elif _incarnation(row) > self._before[node] >= 0:
                found[node] = f"another life: {row['incarnation']}"
            else:
                return None
        return found

    async def _leaderless(self) -> dict[str, Any] | None:
        status = await self.site.status()
        return None if status and status.get("leader") else {"leader": "none"}


async def run_ends(command: tuple[str, ...], nodes: tuple[str, ...], *, timeout_s: float) -> None:
    """Run `end` for every node, each a few times if need be; `NotHealed` when one fails."""
    failed = []
    for node in nodes:
        for attempt in range(1, _TRIES + 1):
            try:
                await hooks.run(command, node, timeout_s=timeout_s)
                break
            except HookFailed as error:
                if attempt == _TRIES:
                    failed.append(str(error))
                else:
                    await asyncio.sleep(_BETWEEN_TRIES_S)
    if failed:
        raise NotHealed(f"`end` failed: {'; '.join(failed)}")


async def until_up(site: Site, nodes: tuple[str, ...]) -> None:
    """Wait until the cluster takes all of these for up; `NotHealed` when it does not."""

    async def look() -> bool | None:
        rows = await site.nodes()
        return all(rows.get(node, {}).get("up") is True for node in nodes) or None

    try:
        await until(
            look, what=f"{' '.join(nodes)} to be up", within_s=_BACK_WITHIN_S, pause_s=_LOOK_S
        )
    except NotInTime as error:
        raise NotHealed(str(error)) from None


def _incarnation(row: dict[str, Any] | None) -> int:
    known = (row or {}).get("incarnation")
    return known if isinstance(known, int) else -1
