"""The leader's look at the voters' clocks: who is off alarms, and a leader that is off hands over.

How time is counted belongs to `clock.py`. What stays true: leadership goes only to a voter that is
right itself, so two wrong clocks do not pass it to and fro.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from molecule.config import Limits
from molecule.model.errors import MoleculeError
from molecule.node.clock import ClusterClock
from molecule.telemetry.node_metrics import NodeMetrics

_log = structlog.get_logger()
_EVERY_S: Final = 1.0
_LOOKS: Final = 3
"""A heartbeat that was held up on its way looks like a clock that is behind, but not for long."""


class Transfer(Protocol):
    """Hands the leadership to a voter."""

    def __call__(self, to: str | None = None) -> None:
        """Begin to hand over; nothing happens when it cannot."""


class ClockWatch:
    """Looks while this node leads; every other node exports nothing."""

    def __init__(
        self,
        *,
        me: str,
        clock: ClusterClock,
        leads: Callable[[], bool],
        transfer: Transfer,
        metrics: NodeMetrics,
        limits: Limits,
    ) -> None:
        self._me = me
        self._clock = clock
        self._leads = leads
        self._transfer = transfer
        self._metrics = metrics
        self._offset_ms_max = limits.clock_offset_ms_max
        self._looks: dict[str, int] = {}
        """How often in a row each voter was off."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            self.look()

    def look(self) -> None:
        """Compare the clocks once."""
        offsets = self._clock.offsets_ms() if self._leads() else {}
        self._metrics.clock_offsets(offsets)
        self._looks = {
            node: self._looks.get(node, 0) + 1
            for node, ms in offsets.items()
            if abs(ms) > self._offset_ms_max
        }
        for node in sorted(node for node, looks in self._looks.items() if looks == _LOOKS):
            _log.error("clock_offset", node=node, offset_ms=offsets[node])
            self._metrics.alarms.labels("clock_offset").inc()
        right = [node for node in offsets if node not in self._looks]
        if self._looks.get(self._me, 0) >= _LOOKS and right:
            best = min(right, key=lambda node: (abs(offsets[node]), node))
            _log.warning("leadership_declined", reason="clock_offset", to=best)
            try:
                self._transfer(best)
            except MoleculeError as error:
                _log.warning("leadership_not_handed_over", to=best, reason=error.message)
