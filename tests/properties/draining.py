"""Choices that become commands about emptying nodes, letting them in and forgetting them."""

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


def token(_state: ClusterState, a: int, b: int, c: int, _d: int) -> dict[str, Any]:
    role = ("voter", "worker", "king")[b % 3]
    return {
        "create_join_token": wire.CreateJoinToken(
            digest=f"t{a}", role=role, lifetime_ms=5_000 * (c % 4)
        )
    }


def admit(_state: ClusterState, a: int, b: int, c: int, d: int) -> dict[str, Any]:
    return {
        "admit_node": wire.AdmitNode(
            digest=f"t{a}",
            node=_name(b) if c % 2 else f"n{4 + b % 3}",
            role=("voter", "worker")[c % 2],
            request=f"r{d % 2}",
        )
    }


def forget(_state: ClusterState, a: int, b: int, _c: int, _d: int) -> dict[str, Any]:
    name = f"n{4 + b % 3}" if a % 2 else _name(b)
    return {"forget_node": wire.ForgetNode(node=name)}
