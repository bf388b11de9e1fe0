"""Heartbeats as an agent says them, with defaults."""

from molecule.wire.v1 import peer_pb2 as p

ORDERS = ("test", "orders")


def a_beat(
    number: int = 1,
    *,
    life: str = "1",
    held: dict[str, int] | None = None,
    incarnation: int = 0,
) -> p.Heartbeat:
    """A heartbeat of a life that holds these executions under these tokens."""
    return p.Heartbeat(
        number=number,
        life=life,
        incarnation=incarnation,
        held=[
            p.Heartbeat.Held(execution=execution, token=token)
            for execution, token in (held or {}).items()
        ],
    )


def with_trigger(beat: p.Heartbeat, token: int, name: tuple[str, str] = ORDERS) -> p.Heartbeat:
    """The same heartbeat of a node that also runs a trigger."""
    beat.triggers.add(environment=name[0], process=name[1], token=token)
    return beat
