"""All kinds of faults by name."""

from collections.abc import Collection
from typing import Final

from chaos.faults import (
    at_target,
    clock,
    damage,
    disk,
    membership,
    network,
    processes,
    resources,
    room,
    shaping,
)
from chaos.faults.fault import Kinds

_GROUPS: Final = (
    processes.KINDS,
    network.KINDS,
    shaping.KINDS,
    disk.KINDS,
    room.KINDS,
    resources.KINDS,
    clock.KINDS,
    damage.KINDS,
    membership.KINDS,
    at_target.KINDS,
)
KINDS: Final[Kinds] = {kind.name: kind for group in _GROUPS for kind in group}
_CUT_LINKS: Final = frozenset(kind.name for kind in (*network.KINDS, *shaping.KINDS))
_MOVE_LINKS: Final = frozenset({damage.JOINS_AGAIN, membership.LEAVES})


def why_not(name: str, among: Collection[str]) -> str:
    """Why a kind cannot be made on this machine, in a run of these kinds; empty: it can.

    Who joined is dialled where it says that it is, so past the relays that others cut.
    """
    if name in _MOVE_LINKS and (cut := sorted(_CUT_LINKS & set(among))):
        return f"it changes the members, and {cut[0]} needs the links of those who were first"
    return KINDS[name].why_not()
