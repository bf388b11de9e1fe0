"""What people do to nodes, drain and undrain: ask the policy, look ahead, propose, translate."""

from collections.abc import Callable, Mapping
from typing import Any

from molecule.access import policy
from molecule.access.policy import Action, Actor
from molecule.cluster.outcome import Applied, Rejected
from molecule.cluster.state import ClusterState, Node
from molecule.config import Limits
from molecule.model.errors import Conflict, InvalidInput, NotFound
from molecule.model.ids import NodeId
from molecule.node import refusals, wire
from molecule.node.forwarder import Forwarder
from molecule.node.holders import Holders, Holdings
from molecule.scheduler import drain
from molecule.scheduler.drain import DrainPlan, Move
from molecule.wire.v1 import commands_pb2 as c

View = Mapping[str, Any]


class NodeActions:
    """Used by the gateway's door."""

    def __init__(
        self,
        *,
        forwarder: Forwarder,
        state: Callable[[], ClusterState],
        holders: Holders,
        limits: Limits,
    ) -> None:
        self._forwarder = forwarder
        self._state = state
        self._holders = holders
        self._limits = limits

    async def plan(self, actor: Actor, name: str) -> View:
        """What draining the node would bring about; changes nothing."""
        policy.check(actor, Action.READ)
        node = self._node(name)
        planned = drain.plan_drain(self._state(), node)
        holdings = await self._holders.ask()
        return self._told(node, planned, holdings)

    async def drain(
        self, actor: Actor, name: str, fields: Mapping[str, Any], *, within_s: float
    ) -> None:
        """Begin to empty the node. Refused where it would endanger documents or lead nowhere."""
        policy.check(actor, Action.DRAIN)
        timeout_ms = self._timeout_ms(fields)
        node = self._node(name)
        if node.is_up:
            holdings, endangered = await self._holders.endangered_without(name, within_s=within_s)
            if endangered:
                raise Conflict(_few_holders(name, endangered, holdings), documents=endangered)
        command = c.DrainNode(node=name, timeout_ms=timeout_ms, actor=wire.actor_to_wire(actor))
        await self._say(c.Command(version=1, drain_node=command), name, within_s)

    async def undrain(self, actor: Actor, name: str, *, within_s: float) -> None:
        """Let the node take work again."""
        policy.check(actor, Action.DRAIN)
        command = c.UndrainNode(node=name, actor=wire.actor_to_wire(actor))
        await self._say(c.Command(version=1, undrain_node=command), name, within_s)

    def _node(self, name: str) -> Node:
        node = self._state().nodes.get(NodeId(name))
        if node is None:
            raise NotFound(f"no node {name} has registered")
        return node

    def _timeout_ms(self, fields: Mapping[str, Any]) -> int:
        asked = fields.get("timeout_ms")
        if asked is None:
            return self._limits.drain_ms_default
        if not 0 <= int(asked) <= self._limits.drain_ms_max:
            raise InvalidInput(
                f"timeout must be between 0 and {self._limits.drain_ms_max} ms (drain_ms_max)"
            )
        return int(asked)

    async def _say(self, command: c.Command, name: str, within_s: float) -> None:
        result = await self._forwarder.insist([command], within_s=within_s)
        match result.outcomes[0]:
            case Applied():
                return
            case Rejected() as rejected:
                raise refusals.error_of(rejected, node=name)

    def _told(self, node: Node, planned: DrainPlan, holdings: Holdings) -> View:
        is_voter = node.id in holdings.voters
        endangered = holdings.endangered_without(node.id) if is_voter else 0
        told = []
        if planned.refusal:
            refused = refusals.error_of(Rejected(planned.refusal), node=node.id)
            told.append(refused.message)
        if endangered:
            told.append(_few_holders(node.id, endangered, holdings))
        limit = self._limits.drain_plan_items_max
        return {
            "node": node.id,
            "draining": node.is_draining,
            "refused": bool(told),
            "refusals": told,
            "notes": self._notes(node, planned, holdings),
            "held": len(planned.executions),
            "moves": planned.moves,
            "waits": planned.waits,
            "documents": holdings.referenced,
            "documents_endangered": endangered,
            "executions": [_move(move) for move in planned.executions[:limit]],
            "triggers": [_move(move) for move in planned.triggers[:limit]],
        }

    def _notes(self, node: Node, planned: DrainPlan, holdings: Holdings) -> list[str]:
        notes = []
        state = self._state()
        if state.leader == node.id:
            notes.append(f"{node.id} leads and goes on leading until it is stopped")
        if holdings.silent and holdings.referenced:
            notes.append(f"{', '.join(holdings.silent)} did not say which documents they have")
        voters = holdings.voters
        up = sum(other.is_up and other.id in voters for other in state.nodes.values())
        needed = len(holdings.voters) // 2 + 1
        if node.id in voters and node.is_up and up - 1 < needed:
            notes.append(
                f"do not stop {node.id} after it is drained: {up - 1} of {len(holdings.voters)} "
                f"voters would be left and {needed} are needed"
            )
        stuck = [move for move in planned.triggers if move.node is None]
        notes += [f"the trigger of {move.process} would wait for {move.why}" for move in stuck]
        return notes


def _move(move: Move) -> dict[str, Any]:
    return {
        "execution": move.execution,
        "environment": move.environment,
        "process": move.process,
        "goes_to": move.node or "",
        "why": move.why,
    }


def _few_holders(name: str, endangered: int, holdings: Holdings) -> str:
    told = (
        f"{endangered} documents would be held by less than a majority of voters without {name}; "
        "wait until the metric of missing documents is 0 on the other voters"
    )
    if holdings.silent:
        told += f", and start {', '.join(voter for voter in holdings.silent)}"
    return told
