"""The one policy function. Doors identify the actor and ask; they decide nothing themselves.

Today there is the admin token or nothing; roles come later and change only this file. What must
stay true: an action that is not named here is refused.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from molecule.model.errors import Denied, Forbidden, Unauthenticated


class Action(StrEnum):
    """What an actor can ask of the cluster."""

    SUBMIT = "execution.submit"
    CANCEL = "execution.cancel"
    RESOLVE = "execution.resolve"
    RELEASE = "execution.release"
    FAIL = "execution.fail"
    SIGNAL = "execution.signal"
    APPLY = "process.apply"
    DRAIN = "node.drain"
    PAUSE = "process.pause"
    SETTLE = "deadletter.settle"
    EDIT_TABLE = "table.edit"
    PURGE = "retention.purge"
    MEMBERS = "cluster.members"
    READ = "read"
    READ_HEALTH = "health.read"


class ActorKind(StrEnum):
    """Where an actor's identity comes from."""

    TOKEN = "token"  # noqa: S105
    TRIGGER = "trigger"
    NODE = "node"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asked. `name` is unique within its kind."""

    kind: ActorKind
    name: str


ADMIN: Final = Actor(ActorKind.TOKEN, "admin")
ANONYMOUS: Final = Actor(ActorKind.ANONYMOUS, "")

_OPEN: Final = frozenset({Action.READ_HEALTH})
_OF_TRIGGERS: Final = frozenset({Action.SUBMIT})


def check(actor: Actor, action: Action) -> None:
    """Raise the `Denied` to answer with when `actor` may not do `action`."""
    refused = refusal(actor, action)
    if refused is not None:
        raise refused


def refusal(actor: Actor, action: Action) -> Denied | None:
    """None when `actor` may do `action`, else the error to answer with."""
    if action in _OPEN or actor == ADMIN:
        return None
    if actor.kind is ActorKind.TRIGGER and action in _OF_TRIGGERS:
        return None
    if actor.kind is ActorKind.ANONYMOUS:
        return Unauthenticated(
            f"{action.value} needs a token: send it as 'Authorization: Bearer …'"
        )
    return Forbidden(f"{actor.kind.value} {actor.name} lacks the right {action.value}")
