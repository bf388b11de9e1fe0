"""From what happens on a node to its metrics. Reads, counts, decides nothing."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

from molecule.cluster import gates
from molecule.cluster.changes import EntryResult
from molecule.cluster.state import ClusterState
from molecule.model.execution import ACTIVE, PARKED, TERMINAL, ExecutionState, WaitReason
from molecule.model.ids import ExecutionId
from molecule.node.clock import boottime_us
from molecule.node.replica import Replica
from molecule.telemetry.node_metrics import NodeMetrics
from molecule.telemetry.processor_wait import ProcessorWait

_EVERY_S = 1.0
_SLICE = 2_000
_REASONS = frozenset(WaitReason)
_LAG_EVERY_S = 0.025
"""Half of what a stall may last, so that every longer one is seen."""
_LAG_IDLE_S = 0.1
"""As long as nothing is applied: then there is nothing that a stall would hold up."""


class Measures:
    """State of the cluster is counted by the leader only; the rest by every node."""

    def __init__(
        self,
        *,
        replica: Replica,
        metrics: NodeMetrics,
        leads: Callable[[], bool],
        held: Callable[[], int],
        trigger_failures: Callable[[], Mapping[str, int]],
        slots: int,
        missing: Callable[[], int],
        throttled: Callable[[], Mapping[tuple[str, str], float]],
    ) -> None:
        self._replica = replica
        self._metrics = metrics
        self._leads = leads
        self._held = held
        self._trigger_failures = trigger_failures
        self._slots = slots
        self._missing = missing
        self._throttled = throttled
        self._late_words = replica.state.totals["late_words"]
        replica.listen(self._entry_applied)

    def _entry_applied(self, result: EntryResult) -> None:
        changes, metrics = result.changes, self._metrics
        for alarm in changes.alarms:
            metrics.alarms.labels(alarm.name).inc()
        late = self._replica.state.totals["late_words"]
        if not self._leads():
            self._late_words = late
            return
        if late > self._late_words:
            metrics.late_words(late - self._late_words)
        self._late_words = late
        for letter in changes.dead_letters:
            metrics.dead_letters(letter.process, 1)
        for transition in changes.transitions:
            if transition.source is None:
                metrics.accepted(self._process(transition.execution))
            if transition.target is ExecutionState.ASSIGNED:
                metrics.assigned()
            elif transition.source is ExecutionState.ASSIGNED and transition.target not in TERMINAL:
                metrics.moved(str(transition.facts.get("reason", transition.target.value)))
        for ended in changes.history:
            metrics.settled(ended.process, ended.state.value)

    def _process(self, execution_id: ExecutionId) -> str:
        execution = self._replica.state.executions.get(execution_id)
        return execution.process if execution is not None else "other"

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sample())
            group.create_task(self._watch_loop())

    async def _watch_loop(self) -> None:
        """See how late the loop comes to what is due, and how much of it the machine caused."""
        lag, stall = self._metrics.loop_lag.observe, self._metrics.loop_stall.observe
        wait = ProcessorWait()
        waited_us = wait.us()
        state, seen = self._replica.state, -1
        while True:
            every_s = _LAG_IDLE_S if state.index == seen else _LAG_EVERY_S
            seen = state.index
            due_us = boottime_us() + int(every_s * 1_000_000)
            await asyncio.sleep(every_s)
            late_us = max(0, boottime_us() - due_us)
            before_us, waited_us = waited_us, wait.us()
            lag(late_us / 1_000_000)
            stall(max(0, late_us - (waited_us - before_us)) / 1_000_000)

    def _measure_gates(self, state: ClusterState) -> None:
        metrics, leads = self._metrics.gates, self._leads()
        local = self._throttled()
        for name, known in state.connections.items():
            if known.policy.has_breaker:
                phase = gates.phase(known, time_ms=state.time_ms) if leads else "closed"
                metrics.breaker(*name, phase)
            if known.policy.is_gated:
                metrics.throttled((*name, "executions"), known.waited_ms / 1_000, counts=leads)
                metrics.throttled((*name, "calls"), local.get(name, 0.0), counts=True)

    async def _waiting(self, state: ClusterState) -> Counter[tuple[str, str]]:
        """Executions that wait, by process and reason; counted in slices that hold nothing up."""
        counts: Counter[tuple[str, str]] = Counter()
        if not self._leads() or not state.counts[ExecutionState.WAITING]:
            return counts
        known = list(state.executions.values())
        for start in range(0, len(known), _SLICE):
            for execution in known[start : start + _SLICE]:
                if execution.state is ExecutionState.WAITING:
                    reason = execution.reason if execution.reason in _REASONS else "other"
                    counts[execution.process, reason] += 1
            await asyncio.sleep(0)
        return counts

    async def _sample(self) -> None:
        metrics = self._metrics
        while True:
            await asyncio.sleep(_EVERY_S)
            state = self._replica.state
            metrics.raft.applied_index.set(state.index)
            metrics.slots.labels("used").set(self._held())
            metrics.slots.labels("free").set(max(0, self._slots - self._held()))
            metrics.missing_documents.set(self._missing())
            metrics.triggers.failures(self._trigger_failures())
            self._measure_gates(state)
            metrics.gates.waiting(await self._waiting(state))
            for name in (*ACTIVE, *PARKED):
                metrics.active.labels(name.value).set(state.counts[name] if self._leads() else 0)
