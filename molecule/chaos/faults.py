"""What a fault is, and what kinds of them users can ask for.

What must stay true: a fault counts only when its effect was seen, never because a command that
makes it returned; `end` heals whatever `begin` did, also when `begin` came half way.
"""

import enum
from typing import Any, Final, Protocol


class NotConfirmed(Exception):
    """The fault was made and nothing shows that it worked."""


class NotHealed(Exception):
    """The victim does not take work again; the message says what was tried."""


class Kind(enum.StrEnum):
    """Kinds of faults, by the names that `--faults` takes."""

    KILL = "kill"
    KILL_WORKER = "kill_worker"
    FREEZE = "freeze"
    PARTITION = "partition"


ABOUT: Final = {
    Kind.KILL: "a node is gone, and started again later",
    Kind.KILL_WORKER: "a worker is gone; its supervisor starts another",
    Kind.FREEZE: "a node stands still, and goes on later",
    Kind.PARTITION: "the other nodes hear nothing of a node",
}


class Aim(enum.StrEnum):
    """At whom."""

    LEADER = "leader"
    FOLLOWER = "follower"
    WORKER_NODE = "worker node"
    MAJORITY = "majority"


class Fault(Protocol):
    """One fault, made for its victims."""

    async def begin(self) -> None:
        """Make it; `NotConfirmed` when it cannot be made."""

    async def confirm(self) -> dict[str, Any]:
        """What shows that it works, at the end of its time; `NotConfirmed` when nothing does."""

    async def end(self) -> None:
        """Heal it; returns when the victims take work again. `NotHealed` when they do not.

        May be run again, also when it was cancelled half way.
        """
