"""Commands about who may come into the cluster, and who has left it.

Votes belong to the consensus group's own configuration (`raft.configuration`); here is what its
members agreed on beside: tokens, admissions, and nodes that are refused. What stays true: a token
lets one node in, once, and a node that left says nothing that counts until it is let in again.
"""

from dataclasses import replace
from typing import Final

from molecule.cluster.apply_deployments import actor_text
from molecule.cluster.bounds import duration, instant
from molecule.cluster.changes import Changes
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import Admission, ClusterState, JoinToken
from molecule.model.ids import NodeId
from molecule.wire.v1 import commands_pb2 as wire

ROLES: Final = ("voter", "worker")
_TOKENS_MAX: Final = 256
_GONE_MAX: Final = 1_000


def create_join_token(
    state: ClusterState, command: wire.CreateJoinToken, changes: Changes
) -> Outcome:
    """Remember the digest of a secret until it is used or over; old ones are forgotten here."""
    if not command.digest or command.role not in ROLES:
        return Rejected("invalid", {"field": "role" if command.digest else "digest"})
    if command.digest in state.join_tokens:
        return Applied(0, {"repeated": True})
    over = [one.digest for one in state.join_tokens.values() if one.expires_at_ms <= state.time_ms]
    if len(state.join_tokens) - len(over) >= _TOKENS_MAX:
        return Rejected("limit", {"allowed": _TOKENS_MAX})

    for digest in (*over, command.digest):
        changes.dirty.mark("join_tokens", digest)
    for digest in over:
        del state.join_tokens[digest]
    expires_at_ms = instant(state.time_ms + duration(command.lifetime_ms))
    state.join_tokens[command.digest] = JoinToken(
        command.digest, command.role, expires_at_ms, actor_text(command.actor)
    )
    return Applied(expires_at_ms)


def admit_node(state: ClusterState, command: wire.AdmitNode, changes: Changes) -> Outcome:
    """Use a token for a node. Its holder may repeat the very same request."""
    node = NodeId(command.node)
    token = state.join_tokens.get(command.digest)
    if token is None:
        return Rejected("unknown_token")
    if token.used_by:
        if (token.used_by, token.request) == (node, command.request):
            return Applied(0, {"repeated": True})
        return Rejected("token_used", {"by": token.used_by})
    if token.expires_at_ms <= state.time_ms:
        return Rejected("token_expired", {"at_ms": token.expires_at_ms})
    if command.role != token.role:
        return Rejected("token_role", {"role": token.role})
    if node in state.nodes:
        return Rejected("node_exists", {"up": state.nodes[node].is_up})

    changes.dirty.mark("join_tokens", token.digest)
    changes.dirty.mark("admissions", node)
    state.join_tokens[token.digest] = replace(token, used_by=node, request=command.request)
    state.admissions[node] = Admission(node, command.role, gone=False, at_ms=state.time_ms)
    return Applied()


def forget_node(state: ClusterState, command: wire.ForgetNode, changes: Changes) -> Outcome:
    """Take a node that holds nothing out of the state, and refuse it from now on."""
    name = NodeId(command.node)
    node = state.nodes.get(name)
    if node is None and is_gone(state, name):
        return Applied(0, {"repeated": True})
    if node is None and name not in state.admissions:
        return Rejected("unknown_node")
    if node is not None and node.held:
        return Rejected("node_busy", {"held": len(node.held)})
    if any(trigger.node == name for trigger in state.triggers.values()):
        return Rejected("node_busy", {"held": 0})

    known = state.admissions.get(name)
    role = known.role if known is not None else "voter" if node is None or node.voter else "worker"
    _forget_oldest_gone(state, changes)
    changes.dirty.mark("nodes", name)
    changes.dirty.mark("admissions", name)
    changes.nodes[name] = None
    state.nodes.pop(name, None)
    state.admissions[name] = Admission(name, role, gone=True, at_ms=state.time_ms)
    return Applied()


def is_gone(state: ClusterState, node: NodeId) -> bool:
    """True for a node that left and was not let in again."""
    known = state.admissions.get(node)
    return known is not None and known.gone


def _forget_oldest_gone(state: ClusterState, changes: Changes) -> None:
    gone = sorted((known.at_ms, name) for name, known in state.admissions.items() if known.gone)
    for _, name in gone[: max(0, len(gone) - _GONE_MAX + 1)]:
        changes.dirty.mark("admissions", name)
        del state.admissions[name]
