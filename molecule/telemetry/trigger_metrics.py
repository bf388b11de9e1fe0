"""Metrics of the triggers that a node runs; written by its measuring."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Gauge


class TriggerMetrics:
    """One per node process."""

    def __init__(self, registry: CollectorRegistry, *, process: Callable[[str], str]) -> None:
        self._process = process
        self._failures = Gauge(
            "molecule_trigger_failures",
            "Failures in a row of a trigger that runs on this node; 0: its last round went well.",
            ("process",),
            registry=registry,
        )

    def failures(self, by_process: Mapping[str, int]) -> None:
        """As they are now; who is not named does not run here. `other` tells the worst of many."""
        self._failures.clear()
        worst: dict[str, int] = {}
        for process, failures in by_process.items():
            label = self._process(process)
            worst[label] = max(failures, worst.get(label, 0))
        for label, failures in worst.items():
            self._failures.labels(label).set(failures)
