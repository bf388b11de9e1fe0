"""Clients of operations that talk to nobody outside: the cluster's keys, this worker's cache.

Made for each attempt, since what it says carries the attempt's token.
"""

from molecule.definition.definition import StepNode
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker.caches import CacheOf, Caches
from molecule.worker.key_calls import KeyCalls
from molecule.worker.speaker import Speaker


class Inside:
    """Of one attempt."""

    def __init__(self, speaker: Speaker, order: w.RunExecution, caches: Caches) -> None:
        self.keys = KeyCalls(speaker, order.execution, order.token, order.sequence)
        self._cache = caches.of(order.environment)

    def client(self, step: StepNode) -> KeyCalls | CacheOf | None:
        """What the step's `perform` talks to; None: the client of its connection."""
        if step.spec.inside == "cluster":
            return self.keys
        return self._cache if step.spec.inside == "worker" else None
