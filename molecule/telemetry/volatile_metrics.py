"""Metrics of volatile executions: they are in no other count."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter


class VolatileMetrics:
    """Counted by the node that was asked, wherever they ran."""

    def __init__(self, registry: CollectorRegistry, *, process: Callable[[str], str]) -> None:
        self._process = process
        self._started = Counter(
            "molecule_volatile_started",
            "Volatile executions that were asked for and let in.",
            ("process",),
            registry=registry,
        )
        self._ended = Counter(
            "molecule_volatile_ended",
            "Volatile executions that ended; `completed`, `failed`, `refused`, `given_up`.",
            ("process", "state"),
            registry=registry,
        )
        self._retried = Counter(
            "molecule_volatile_retried",
            "Tries that were lost before anything was sent back.",
            ("process",),
            registry=registry,
        )
        self._dropped = Counter(
            "molecule_volatile_records_dropped",
            "Records for the history that had no room or no leader.",
            registry=registry,
        )

    def started(self, process: str) -> None:
        """One was let in."""
        self._started.labels(self._process(process)).inc()

    def ended(self, process: str, state: str) -> None:
        """One came to this."""
        self._ended.labels(self._process(process), state).inc()

    def retried(self, process: str) -> None:
        """One is tried elsewhere."""
        self._retried.labels(self._process(process)).inc()

    def dropped(self, count: int) -> None:
        """So many records are not kept."""
        self._dropped.inc(count)
