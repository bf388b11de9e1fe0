"""Choices that become commands about emptying nodes."""

from typing import Any

from molecule.cluster.state import ClusterState
from molecule.model.ids import NodeId
from molecule.wire.v1 import commands_pb2 as wire


def _name(number: int) -> NodeId:
    return NodeId(f"n{1 + number % 3}")


def drain(state: ClusterState, a: int, b: int, c: int, _d: int) -> dict[str, Any]:
    life = ("", "", f"life{c}")[b % 3]
    node = state.nodes.get(_name(a))
    if node is not None and b % 3 == 1 and c % 2:
        life = node.life
    return {"drain_node": wire.DrainNode(node=_name(a), life=life, timeout_ms=1_000 * c)}


def undrain(_state: ClusterState, a: int, _b: int, _c: int, _d: int) -> dict[str, Any]:
    return {"undrain_node": wire.UndrainNode(node=_name(a))}
