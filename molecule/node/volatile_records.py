"""Which volatile executions are written into history, and how: few of them, many in one entry.

Each node records those that it was asked for. What must stay true: recording never holds a caller
up, and its rate and size are bounded whatever is asked of the node; what does not fit is dropped
and counted.
"""

import asyncio
from collections import deque

import structlog

from molecule.config import Limits
from molecule.model.errors import MoleculeError
from molecule.model.execution import ExecutionState
from molecule.node.gate_reports import Forwarder
from molecule.telemetry.volatile_metrics import VolatileMetrics
from molecule.wire.v1 import commands_pb2 as c

_log = structlog.get_logger()


class VolatileRecords:
    """One per node process."""

    def __init__(
        self, *, node: str, forwarder: Forwarder, metrics: VolatileMetrics, limits: Limits
    ) -> None:
        self._node = node
        self._forwarder = forwarder
        self._metrics = metrics
        self._limits = limits
        self._seen: dict[str, int] = {}
        self._kept: deque[c.VolatileRecord] = deque()
        self._is_wanted = asyncio.Event()

    def note(self, record: c.VolatileRecord) -> None:
        """Record it if it is one of the sample: every so many of its process, and what failed."""
        limits = self._limits
        every = limits.volatile_sample_every
        if not every or not self._is_chosen(record, every):
            return
        if len(self._kept) >= limits.volatile_records_max:
            self._metrics.dropped(1)
            return
        record.error = record.error[: limits.volatile_record_bytes_max // 4]
        if record.ByteSize() > limits.volatile_record_bytes_max:
            del record.steps[:]
        self._kept.append(record)
        self._is_wanted.set()

    def _is_chosen(self, record: c.VolatileRecord, every: int) -> bool:
        known = self._seen
        if record.process not in known and len(known) >= self._limits.metric_process_labels_max:
            known.clear()
        count = known[record.process] = known.get(record.process, -1) + 1
        return count % every == 0 or record.state == ExecutionState.FAILED

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            await asyncio.sleep(self._limits.volatile_report_ms / 1_000)
            await self.report()

    async def report(self) -> None:
        """Say what is kept, in one entry; without a leader it is given up after a while."""
        records = list(self._kept)
        self._kept.clear()
        if not records:
            return
        said = c.RecordVolatile(node=self._node, records=records)
        try:
            await self._forwarder.insist(
                [c.Command(version=1, record_volatile=said)],
                within_s=self._limits.report_ms_max / 1_000,
            )
        except MoleculeError as error:
            _log.info("volatile_records_dropped", count=len(records), reason=error.message)
            self._metrics.dropped(len(records))
