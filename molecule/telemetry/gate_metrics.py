"""Metrics of connections and of what waits; written by the measuring of a node."""

from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

_STATES: Final = {"closed": 0, "half_open": 1, "open": 2}


class GateMetrics:
    """One per node process."""

    def __init__(self, registry: CollectorRegistry, *, process: Callable[[str], str] = str) -> None:
        self._process = process
        self._breaker = Gauge(
            "molecule_connection_breaker_state",
            "0 closed, 1 half open, 2 open; told by the leader.",
            ("environment", "connection"),
            registry=registry,
        )
        self._throttled = Counter(
            "molecule_connection_throttled_seconds",
            "How long calls waited for their instants on this node, and executions before the gate"
            " as the leader counts them.",
            ("environment", "connection"),
            registry=registry,
        )
        self._waiting = Gauge(
            "molecule_waiting",
            "Executions that are WAITING, by reason; told by the leader.",
            ("process", "reason"),
            registry=registry,
        )
        self._told: dict[tuple[str, str, str], float] = {}

    def breaker(self, environment: str, connection: str, state: str) -> None:
        """How a breaker stands."""
        self._breaker.labels(environment, connection).set(_STATES[state])

    def throttled(self, name: tuple[str, str, str], total_s: float, *, counts: bool) -> None:
        """The total of a connection, as of `calls` or `executions`; counted here or only kept."""
        before = self._told.get(name, 0.0)
        self._told[name] = total_s
        if counts and total_s > before:
            self._throttled.labels(*name[:2]).inc(total_s - before)

    def waiting(self, counts: Mapping[tuple[str, str], int]) -> None:
        """How many wait, by process and reason; who is not named has none."""
        self._waiting.clear()
        for (process, reason), count in counts.items():
            self._waiting.labels(self._process(process), reason).inc(count)
