"""Metrics of a node process, in one registry of its own.

Names follow Prometheus: base units, `_total` for counters, no ids in labels; at most
`metric_process_labels_max` process names get a label of their own, the rest are `other`.
"""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import generate_latest

from molecule.config import Limits
from molecule.telemetry.gate_metrics import GateMetrics
from molecule.telemetry.trigger_metrics import TriggerMetrics
from molecule.telemetry.volatile_metrics import VolatileMetrics

_SHORT: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class RaftMetrics:
    """The metrics port of the Raft driver."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.applied_index = Gauge(
            "molecule_raft_applied_index", "Last applied entry.", registry=registry
        )
        self._sync = Histogram(
            "molecule_journal_sync_seconds",
            "Time of one sync of the journal.",
            buckets=_SHORT,
            registry=registry,
        )
        self._commit = Histogram(
            "molecule_raft_commit_seconds",
            "From proposing an entry to its commit, on the leader.",
            buckets=_SHORT,
            registry=registry,
        )
        self._term = Gauge("molecule_raft_term", "Raft's election number.", registry=registry)
        self._has_leader = Gauge(
            "molecule_raft_has_leader", "1 while this voter knows a leader.", registry=registry
        )
        self.is_leader = Gauge(
            "molecule_raft_is_leader", "1 on the node that leads.", registry=registry
        )
        self._leader_changes = Counter(
            "molecule_raft_leader_changes", "Leaders this voter has seen.", registry=registry
        )

    def journal_synced(self, seconds: float) -> None:
        """One sync of the journal ended."""
        self._sync.observe(seconds)

    def committed(self, seconds: float) -> None:
        """One own proposal was committed this long after it was proposed."""
        self._commit.observe(seconds)

    def role_changed(self, term: int, leader: str | None) -> None:
        """The term or the leader changed."""
        self._term.set(term)
        self._has_leader.set(0 if leader is None else 1)
        if leader is not None:
            self._leader_changes.inc()


class StorageMetrics:
    """Room on the disk, what is kept, what was purged and refused."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._free = Gauge(
            "molecule_storage_free_bytes",
            "Room on the volume of the data folder, the reserve included.",
            ("path",),
            registry=registry,
        )
        self._reserve = Gauge(
            "molecule_storage_reserve_held_bytes",
            "How much of the reserve is allocated.",
            registry=registry,
        )
        self._level = Gauge(
            "molecule_storage_level",
            "0 roomy, 1 purge runs early, 2 no documents, 3 no submissions.",
            registry=registry,
        )
        self._growth = Gauge(
            "molecule_storage_growth_bytes_per_second",
            "How fast the room became less since the measure before; negative: more.",
            registry=registry,
        )
        self._bytes = Gauge(
            "molecule_storage_bytes", "What is kept here.", ("class",), registry=registry
        )
        self._purged = Counter(
            "molecule_retention_purged",
            "Ended executions whose rows of a class were deleted here.",
            ("class",),
            registry=registry,
        )
        self._refused = Counter(
            "molecule_admission_refused",
            "Submissions refused for want of room.",
            ("reason", "door"),
            registry=registry,
        )
        self._before: tuple[float, int] | None = None

    def disk(
        self, path: str, *, free_bytes: int, held_bytes: int, level: int, now_s: float
    ) -> None:
        """The disk as measured."""
        self._free.labels(path).set(free_bytes)
        self._reserve.set(held_bytes)
        self._level.set(level)
        if self._before is not None and now_s > self._before[0]:
            grown = self._before[1] - free_bytes
            self._growth.set(grown / (now_s - self._before[0]))
        self._before = (now_s, free_bytes)

    def kept(self, name: str, size_bytes: int) -> None:
        """What a class takes here."""
        self._bytes.labels(name).set(size_bytes)

    def purged(self, name: str, executions: int) -> None:
        """Rows of a class were deleted here."""
        self._purged.labels(name).inc(executions)

    def refused(self, reason: str, door: str) -> None:
        """A submission was refused."""
        self._refused.labels(reason, door).inc()


class _Names:
    """The first names that were seen; each label costs memory here and at who scrapes."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._seen: set[str] = set()

    def label(self, name: str) -> str:
        if name not in self._seen:
            if len(self._seen) >= self._maximum:
                return "other"
            self._seen.add(name)
        return name


class NodeMetrics:
    """Written by the shells of the node process."""

    def __init__(self, *, software: str, limits: Limits) -> None:
        registry = self._registry = self._watched(CollectorRegistry())
        self._process = _Names(limits.metric_process_labels_max).label
        self.raft, self.storage = RaftMetrics(registry), StorageMetrics(registry)
        self.gates = GateMetrics(registry, process=self._process)
        self.volatile = VolatileMetrics(registry, process=self._process)
        self.triggers = TriggerMetrics(registry, process=self._process)
        self._executions = Counter(
            "molecule_executions",
            "Executions that ended or were parked.",
            ("process", "state"),
            registry=registry,
        )
        self._accepted = Counter(
            "molecule_accepted", "Submissions that committed.", ("process",), registry=registry
        )
        self._assignments = Counter(
            "molecule_assignments", "Assignments that committed.", registry=registry
        )
        self._reassignments = Counter(
            "molecule_reassignments",
            "Executions taken from a lost holder.",
            ("reason",),
            registry=registry,
        )
        self._late_words = Counter(
            "molecule_raft_stale_words_rejected",
            "Words refused because their token was old.",
            registry=registry,
        )
        self._dead_letters = Counter(
            "molecule_dead_letters_kept",
            "Documents that failed and were kept.",
            ("process",),
            registry=registry,
        )
        self.active = Gauge(
            "molecule_executions_active",
            "Executions that are not terminal, by state.",
            ("state",),
            registry=registry,
        )
        self.slots = Gauge("molecule_node_slots", "Slots here.", ("state",), registry=registry)
        self.missing_documents = Gauge(
            "molecule_storage_documents_missing",
            "Referenced documents that this voter does not have yet.",
            registry=registry,
        )
        self._add_loop(registry)
        self.alarms = Counter(
            "molecule_alarms", "Faults that a person must know.", ("name",), registry=registry
        )
        self._worker_deaths = Counter(
            "molecule_worker_restarts", "Workers that died.", ("reason",), registry=registry
        )
        Info("molecule_build", "What runs here.", registry=registry).info({"version": software})

    def _watched(self, registry: CollectorRegistry) -> CollectorRegistry:
        self.conservation_gap = Gauge(
            "molecule_conservation_gap",
            "Accepted executions that are unaccounted for in this copy of the state.",
            registry=registry,
        )
        self._clock_offset = Gauge(
            "molecule_raft_clock_offset_seconds",
            "Wall clock of a voter less the median of all, as the leader heard it.",
            ("peer",),
            registry=registry,
        )
        return registry

    def _add_loop(self, registry: CollectorRegistry) -> None:
        self.loop_lag = Histogram(
            "molecule_loop_lag_seconds",
            "How late the loop of the node process ran a due call.",
            buckets=_SHORT,
            registry=registry,
        )
        self.loop_stall = Histogram(
            "molecule_loop_stall_seconds",
            "How late it ran one without the time in which other programs had the processors.",
            buckets=_SHORT,
            registry=registry,
        )

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        text: bytes = generate_latest(self._registry)
        return text

    def clock_offsets(self, offsets_ms: Mapping[str, int]) -> None:
        """How far each voter's clock is from the median; voters that are not named are unknown."""
        self._clock_offset.clear()
        for peer, offset_ms in offsets_ms.items():
            self._clock_offset.labels(peer).set(offset_ms / 1000)

    # ---- what happened to executions

    def accepted(self, process: str) -> None:
        """One more execution was accepted."""
        self._accepted.labels(self._process(process)).inc()

    def settled(self, process: str, state: str) -> None:
        """An execution ended or was parked."""
        self._executions.labels(self._process(process), state).inc()

    def assigned(self) -> None:
        """An execution was given to a node."""
        self._assignments.inc()

    def moved(self, reason: str) -> None:
        """An execution was taken from a holder that is gone."""
        self._reassignments.labels(reason).inc()

    def late_words(self, count: int) -> None:
        """Words of old holders were refused."""
        self._late_words.inc(count)

    def dead_letters(self, process: str, count: int) -> None:
        """Documents failed."""
        self._dead_letters.labels(self._process(process)).inc(count)

    def worker_died(self, reason: str) -> None:
        """A worker of this node ended."""
        self._worker_deaths.labels(reason).inc()
