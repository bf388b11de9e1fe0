"""Clocks that are off: they alarm, their node does not lead, and nobody's time moves with them."""

from typing import Any, Final

import pytest

from molecule.cli.waiting import until
from tests.cluster.cluster import MOVED_WITHIN_S, NODES, Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOUR_MS: Final = 3_600_000
OFF_BY: Final = "MOLECULE_CLOCK_OFF_BY_MS"


async def metrics(cluster: Cluster, node: str) -> dict[str, float]:
    """What a node measures, by name and labels as they are written."""
    answer = await cluster.get("/metrics", at=node)
    assert answer.is_success, answer.text
    lines = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (each.rpartition(" ") for each in lines)}


async def alarmed(cluster: Cluster, node: str, alarm: str) -> None:
    """Wait until a node has raised this alarm."""
    name = f'molecule_alarms_total{{name="{alarm}"}}'

    async def look() -> bool | None:
        return True if (await metrics(cluster, node)).get(name, 0) >= 1 else None

    await until(look, what=f"alarm {alarm} at {node}", within_s=MOVED_WITHIN_S)


def offset_of(node: str) -> str:
    return f'molecule_raft_clock_offset_seconds{{peer="{node}"}}'


async def accepted_at_ms(cluster: Cluster, name: str) -> int:
    """The time of the cluster, as one accepted execution has it."""
    shown: dict[str, Any] = await cluster.show(await cluster.accepted("nothing", name))
    return int(shown["accepted_at_ms"])


async def test_a_node_whose_clock_is_an_hour_ahead_alarms_and_does_not_lead(
    cluster: Cluster,
) -> None:
    leader = await cluster.leader()
    off = next(node for node in NODES if node != leader)
    name = cluster.name("clocks")
    before_ms = await accepted_at_ms(cluster, f"{name}.before")
    await cluster.stop(off)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(OFF_BY, str(HOUR_MS))
        cluster.local.start(cluster.place(off))
    await cluster.start(off)
    await alarmed(cluster, leader, "clock_offset")
    assert (await metrics(cluster, leader))[offset_of(off)] > HOUR_MS / 1000 - 60
    assert await cluster.leader() == leader

    answer = await cluster.post("/api/v1/cluster/transfer", {"to": off})
    assert answer.is_success, answer.text

    async def has_declined() -> bool | None:
        return '"leadership_declined"' in cluster.log(off) or None

    await until(has_declined, what=f"{off} to lead and to decline", within_s=MOVED_WITHIN_S)
    right = await cluster.leader(other_than=off)
    # The hour of the one that led for a moment is nobody's time.
    after_ms = await accepted_at_ms(cluster, f"{name}.after")
    assert before_ms <= after_ms < before_ms + HOUR_MS // 2
    assert (await metrics(cluster, right))["molecule_conservation_gap"] == 0

    await cluster.stop(off)
    await cluster.start(off)
    await cluster.conserved()
