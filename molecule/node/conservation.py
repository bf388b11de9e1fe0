"""Looks whether everything accepted is accounted for: totals against a recount of the table.

Each voter looks at its own copy. What stays true: a difference raises an alarm once for each size
that it has, and nothing is ever put right in silence.
"""

import asyncio
from typing import Final

import structlog

from molecule.cluster import views
from molecule.node.replica import Replica
from molecule.telemetry.node_metrics import NodeMetrics

_log = structlog.get_logger()
_EVERY_S: Final = 5.0


class Conservation:
    """Built by the runtime."""

    def __init__(self, *, replica: Replica, metrics: NodeMetrics) -> None:
        self._replica = replica
        self._metrics = metrics
        self._gap = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_EVERY_S)

    def look(self) -> None:
        """Recount once, between two entries."""
        sides = views.conservation(self._replica.state)
        gap = views.conservation_gap(sides)
        self._metrics.conservation_gap.set(gap)
        if gap and gap != self._gap:
            _log.error("conservation_gap", gap=gap, index=self._replica.state.index, **sides)
            self._metrics.alarms.labels("conservation_gap").inc()
        self._gap = gap
