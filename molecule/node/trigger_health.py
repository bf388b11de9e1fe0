"""How triggers fare, for people: what their nodes told the leader, beside what the state says.

Nothing of it is in the log, so that a trigger that fails for ever costs nothing there. What must
stay true: a word under another token than that of the state is of an earlier assignment.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from molecule.model.errors import MoleculeError
from molecule.model.ids import NodeId
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w

Deployment = Mapping[str, Any]
"""As `views.deployments` tells it."""


class TriggerHealths:
    """What the door of a voter asks the leader for, whichever node that is."""

    def __init__(
        self,
        *,
        me: str,
        here: Callable[[], p.TriggersReply],
        ask: Callable[[str], Awaitable[p.TriggersReply]],
    ) -> None:
        self._me = me
        self._here = here
        self._ask = ask

    async def add_to(
        self, deployments: Sequence[Deployment], leader: str | None
    ) -> list[Deployment]:
        """The same deployments, each with how its trigger fares as the leader knows it."""
        heard: p.TriggersReply | None = None
        if leader is not None and any(one["trigger_node"] for one in deployments):
            heard = await self._heard(leader)
        return [{**one, **shown(one, heard)} for one in deployments]

    async def _heard(self, leader: str) -> p.TriggersReply | None:
        try:
            return self._here() if leader == self._me else await self._ask(leader)
        except MoleculeError:
            # It leads no more, or is older than this word. The rest of the answer is as good.
            return None


def told(triggers: Mapping[NodeId, Sequence[p.Heartbeat.HeldTrigger]]) -> p.TriggersReply:
    """What nodes said in their last heartbeats of this leadership, with whose word it is."""
    reply = p.TriggersReply()
    for node, held in triggers.items():
        for one in held:
            if one.HasField("health"):
                status = w.TriggerStatus(
                    environment=one.environment,
                    process=one.process,
                    token=one.token,
                    health=one.health,
                )
                reply.triggers.add(node=node, status=status)
    return reply


def shown(deployment: Deployment, heard: p.TriggersReply | None) -> dict[str, Any]:
    """The part of a deployment's JSON that tells how its trigger fares; `heard` None: no leader."""
    found = _found(deployment, heard)
    health = found if found is not None else w.TriggerHealth()
    return {
        "trigger_state": _state(deployment, found, is_heard=heard is not None),
        "trigger_failures": health.failures,
        "trigger_last_success_at_ms": health.succeeded_at_ms,
        "trigger_last_error": health.error,
        "trigger_last_error_at_ms": health.failed_at_ms,
    }


def _found(deployment: Deployment, heard: p.TriggersReply | None) -> w.TriggerHealth | None:
    wanted = tuple(
        deployment[name] for name in ("trigger_node", "environment", "process", "trigger_token")
    )
    for one in heard.triggers if heard is not None else ():
        status = one.status
        if (one.node, status.environment, status.process, status.token) == wanted:
            return status.health
    return None


def _state(deployment: Deployment, health: w.TriggerHealth | None, *, is_heard: bool) -> str:
    if not deployment["has_trigger"]:
        return ""
    if not deployment["trigger_on"]:
        return "off"
    if deployment["listener"]:
        return "listening"
    if not deployment["trigger_node"]:
        return "waiting"
    if not is_heard:
        return "unknown"
    if health is None:
        return "starting"
    return "failing" if health.failures else "running"
