"""A connection as the replicated state keeps it: its policy, and how its gate stands."""

from dataclasses import dataclass, field

from molecule.model.gate import GatePolicy
from molecule.model.ids import ExecutionId


@dataclass(slots=True)
class Connection:
    """A connection in an environment, and how its gate stands. Only apply changes it."""

    environment: str
    policy: GatePolicy
    failures: tuple[tuple[int, int], ...] = ()
    """Within the window of its breaker: when, and how many."""
    opened_at_ms: int = 0
    opened_index: int = 0
    """When its breaker opened last, and the log index of the command that told of the failures."""
    open_until_ms: int = 0
    """Nobody calls before, and only who was let through after; 0: all may."""
    trips: int = 0
    successes: int = 0
    """Calls of those let through that went well since it opened."""
    passes: dict[ExecutionId, int] = field(default_factory=dict)
    """Who was let through and has not called yet, and when."""
    next_permit_us: int = 0
    waited_ms: int = 0
    """How long executions waited before it, all together."""
    waiting: list[tuple[int, ExecutionId]] = field(default_factory=list)
    """Who waits before it, in the order of acceptance; made anew after a restore."""

    @property
    def key(self) -> tuple[str, str]:
        """Its name among the connections of the cluster."""
        return (self.environment, self.policy.connection)
