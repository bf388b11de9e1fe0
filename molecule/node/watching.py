"""All that watches a node from inside: measures, the voters' clocks, what is accounted for.

Wiring only. What stays true: watching decides nothing but who should not lead.
"""

import asyncio
from collections.abc import Callable, Mapping

from molecule.config import NodeConfig
from molecule.node import holdings
from molecule.node.agent import Agent
from molecule.node.clock import ClusterClock
from molecule.node.clock_watch import ClockWatch, Transfer
from molecule.node.conservation import Conservation
from molecule.node.leader import Leader
from molecule.node.measures import Measures
from molecule.node.payloads import Payloads
from molecule.node.replica import Replica
from molecule.telemetry.node_metrics import NodeMetrics


class Watching:
    """Built by the runtime of a voter."""

    def __init__(
        self,
        *,
        config: NodeConfig,
        replica: Replica,
        metrics: NodeMetrics,
        parts: tuple[Leader, Agent, Payloads],
        clocks: tuple[ClusterClock, Transfer],
        throttled: Callable[[], Mapping[tuple[str, str], float]],
    ) -> None:
        leader, agent, payloads = parts
        clock, transfer = clocks
        agent.keep_time(clock)
        self._measures = Measures(
            replica=replica,
            metrics=metrics,
            leads=lambda: leader.epoch is not None,
            held=lambda: len(agent.rounds.held),
            trigger_failures=lambda: holdings.trigger_failures(agent.rounds.triggers),
            slots=config.slots,
            missing=lambda: payloads.missing,
            throttled=throttled,
        )
        self._clock_watch = ClockWatch(
            me=config.id,
            clock=clock,
            leads=lambda: leader.epoch is not None,
            transfer=transfer,
            metrics=metrics,
            limits=config.limits,
        )
        self._conservation = Conservation(replica=replica, metrics=metrics)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._measures.run())
            group.create_task(self._clock_watch.run())
            group.create_task(self._conservation.run())
