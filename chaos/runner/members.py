"""A node leaves, alive or as dead, and joins again, as an operator is told to do it.

What must stay true: as dead it leaves only when the cluster calls it lost, and it counts as back
only when it votes.
"""

import asyncio
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx2

from chaos.runner.site import READY_WITHIN_S, Site
from molecule.cli import joining
from molecule.cli.joining import JoinToken
from molecule.cli.local_files import NodePlace
from molecule.cli.waiting import NotInTime, until

_PAUSE_S: Final = 0.2
_DRAIN_MS: Final = 20_000


async def leaves_dead(site: Site, node: str) -> None:
    """Take a node out of the cluster that does not run and never will."""
    await _becomes(site, node, "up", False)
    await _said(site, node, f"/api/v1/cluster/leave/{node}", {"dead": True})


async def leaves(site: Site, node: str) -> None:
    """Drain a node, take it out of the cluster and end it."""
    await _said(site, node, f"/api/v1/nodes/{node}/drain", {"timeout_ms": _DRAIN_MS})
    await _becomes(site, node, "drained", True)
    await _said(site, node, f"/api/v1/cluster/leave/{node}", {"dead": False})
    await site.stop(node)


async def undrain(site: Site, node: str) -> None:
    """Let a node take work that did not leave in the end."""
    await _said(site, node, f"/api/v1/nodes/{node}/undrain", {})


async def voters(site: Site) -> list[str]:
    """Who votes, as a node tells that runs; waits until one does."""

    async def look() -> list[str] | None:
        return (await site.status()).get("voters") or None

    return await until(look, what="the voters", within_s=READY_WITHIN_S, pause_s=_PAUSE_S)


async def joins(site: Site, node: str) -> None:
    """Empty the folder of a node that left, let it in, start it; returns when it votes."""
    told = await _said(site, node, "/api/v1/cluster/tokens", {})
    token = JoinToken.parse(told["token"])
    place = site.local.node(node)
    at = next(site.local.node(other).http for other in site.nodes if other not in site.down)
    await asyncio.to_thread(_make_new, place, token, at, site.local.place.folder)
    await site.start(node)

    async def votes() -> bool | None:
        answer = await site.get(node, "/readyz")
        return (isinstance(answer, dict) and answer.get("role") == "voter") or None

    await until(votes, what=f"{node} to vote", within_s=READY_WITHIN_S, pause_s=_PAUSE_S)


def empty(data: Path) -> None:
    """Remove all that a data folder holds; it stays, for it may be a volume."""
    for path in data.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _make_new(place: NodePlace, token: JoinToken, at: str, cluster: Path) -> None:
    """Certificates and configuration of a newcomer, in the folder of the one that was lost.

    Its log stays: who reads it goes on.
    """
    empty(place.data)
    with tempfile.TemporaryDirectory(dir=cluster) as name:
        folder = Path(name)
        # Those who hold the key of the authority let others in.
        (folder / "ca.key").symlink_to(cluster / "ca.key")
        made = replace(place, folder=folder / place.id)
        joining.obtain(at, token, node=made, folder=folder)
        for path in made.folder.iterdir():
            path.replace(place.folder / path.name)


async def _becomes(site: Site, node: str, what: str, value: bool) -> None:  # noqa: FBT001  # as told
    async def look() -> bool | None:
        for other in site.nodes:
            if other != node:
                told = await site.get(other, f"/api/v1/nodes/{node}", fresh="true")
                if isinstance(told, dict):
                    return True if told[what] is value else None
        return None

    await until(
        look, what=f"{node} to be {what}: {value}", within_s=READY_WITHIN_S, pause_s=_PAUSE_S
    )


async def _said(site: Site, node: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask another node until one has done it."""
    refused = ""

    async def look() -> dict[str, Any] | None:
        nonlocal refused
        for other in site.nodes:
            if other == node:
                continue
            try:
                answer = await site.http.post(f"{site.url(other)}{path}", json=body)
            except httpx2.TransportError as error:
                refused = str(error)
                continue
            if answer.is_success:
                told: dict[str, Any] = answer.json()
                return told
            refused = answer.text
        return None

    try:
        return await until(look, what=path, within_s=READY_WITHIN_S, pause_s=_PAUSE_S)
    except NotInTime as error:
        raise NotInTime(f"{error}: {refused}") from None
