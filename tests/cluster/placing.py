"""Work that stands at the target and was given to one node: what a test then takes away."""

import itertools

from tests.cluster.cluster import Cluster
from tests.cluster.recorder import Hold


async def held_at(
    cluster: Cluster, node: str, process: str, prefix: str, hold: Hold
) -> tuple[str, str]:
    """Submit until one execution runs on this node and stands at the target; its id and name.

    A node that only comes back from the test before gives its work to others. Those stand at the
    target too, and go on when the hold ends.
    """
    for number in itertools.count(1):
        name = f"{prefix}.{number}"
        execution = await cluster.accepted(process, name, at=node)
        await hold.reached(number)
        if (await cluster.show(execution))["node"] == node:
            return execution, name
    raise AssertionError


async def several_held_at(
    cluster: Cluster, node: str, process: str, prefix: str, hold: Hold, *, count: int
) -> list[str]:
    """The same, and so many more that this node accepts and any node may have; their ids."""
    first, _ = await held_at(cluster, node, process, prefix, hold)
    stand = len(set(hold.waiting))
    names = [f"{prefix}.and.{number}" for number in range(count)]
    more = [await cluster.accepted(process, name, at=node) for name in names]
    await hold.reached(stand + count)
    return [first, *more]
