"""What a command came to: applied or rejected with a reason.

Deciding belongs to the `apply_*` modules; callers translate. An outcome is part of the rolling
hash, so it holds only text, whole numbers and booleans.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Fact = str | int | bool
Facts = Mapping[str, Fact]


@dataclass(frozen=True, slots=True)
class Applied:
    """The command changed the state, or had done so before (`repeated` among the facts).

    `value` is the number that was minted (epoch, incarnation, token) or counted (sequence); 0 when
    none.
    """

    value: int = 0
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """The command changed nothing. `reason` is a stable code; the facts say what was against it."""

    reason: str
    facts: Facts = field(default_factory=dict)


Outcome = Applied | Rejected


class StopNode(BaseException):
    """The replica must not go on: what it would do could differ from the others.

    Not an Exception, so that no boundary swallows it. The state is as it was before the command.
    """


def is_applied(outcome: Outcome) -> bool:
    """True when the command took effect, now or when it was said before."""
    return isinstance(outcome, Applied)
