"""Triggers of which no node told anything."""

from molecule.model.errors import NoLeader
from molecule.node.trigger_health import TriggerHealths
from molecule.wire.v1 import peer_pb2 as p


async def _nobody(leader: str) -> p.TriggersReply:
    raise NoLeader(f"{leader} is not there")


def untold(me: str = "n1") -> TriggerHealths:
    """What the door of `me` asks; as leader it was told nothing, and nobody else answers."""
    return TriggerHealths(me=me, here=p.TriggersReply, ask=_nobody)
