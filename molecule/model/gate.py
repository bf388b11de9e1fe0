"""The gate before a connection: when calls through it must wait.

A breaker keeps calls back after failures, a rate spreads them over time; both hold for the whole
cluster. Zero means that there is no such bound.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """What a connection's file says of its breaker and its rate."""

    connection: str
    failures: int = 0
    within_ms: int = 0
    open_ms: int = 0
    rate_limit: int = 0
    rate_per_ms: int = 0
    rate_burst: int = 0

    @property
    def has_breaker(self) -> bool:
        """True when failures close the gate."""
        return self.failures > 0

    @property
    def has_rate(self) -> bool:
        """True when calls are spread over time."""
        return self.rate_limit > 0

    @property
    def is_gated(self) -> bool:
        """True when calls must ask before they leave."""
        return self.has_breaker or self.has_rate


FAILURES_MAX: Final = 1_000
RATE_LIMIT_MAX: Final = 1_000_000
RATE_PER_MS_MAX: Final = 86_400_000

NO_GATE: Final = GatePolicy("")
