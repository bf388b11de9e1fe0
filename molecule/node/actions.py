"""What people do to executions, from cancel to fail: ask the policy, propose, translate."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from molecule.access import policy
from molecule.access.policy import Action, Actor
from molecule.cluster.outcome import Applied, Rejected
from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.model.ids import ExecutionId
from molecule.node import given_reasons, refusals, wire
from molecule.node.forwarder import Forwarder
from molecule.wire.v1 import commands_pb2 as c


class Actions:
    """Used by the gateway's door."""

    def __init__(
        self, *, forwarder: Forwarder, state: Callable[[], ClusterState], limits: Limits
    ) -> None:
        self._forwarder = forwarder
        self._state = state
        self._limits = limits

    async def cancel(
        self, actor: Actor, execution: str, fields: Mapping[str, Any], *, within_s: float
    ) -> None:
        """End the execution CANCELLED. Raises `WrongState` when it has ended otherwise."""
        policy.check(actor, Action.CANCEL)
        command = c.CancelExecution(
            execution=execution,
            actor=wire.actor_to_wire(actor),
            reason=given_reasons.read(fields, self._limits),
        )
        await self._say(c.Command(version=1, cancel_execution=command), execution, within_s)

    async def release(
        self, actor: Actor, execution: str, fields: Mapping[str, Any], *, within_s: float
    ) -> None:
        """Let a quarantined or held execution go on, its crashes forgiven; else `WrongState`."""
        policy.check(actor, Action.RELEASE)
        command = c.ReleaseParked(
            execution=execution,
            actor=wire.actor_to_wire(actor),
            reason=given_reasons.read(fields, self._limits),
        )
        await self._say(c.Command(version=1, release_parked=command), execution, within_s)

    async def fail(
        self, actor: Actor, execution: str, fields: Mapping[str, Any], *, within_s: float
    ) -> None:
        """End a parked execution as FAILED. `WrongState` when it is not parked."""
        policy.check(actor, Action.FAIL)
        command = c.FailParked(
            execution=execution,
            actor=wire.actor_to_wire(actor),
            reason=given_reasons.read(fields, self._limits),
        )
        await self._say(c.Command(version=1, fail_parked=command), execution, within_s)

    async def resolve(
        self, actor: Actor, execution: str, fields: Mapping[str, Any], *, within_s: float
    ) -> None:
        """Answer for effects in doubt. `Conflict` when it is too early to call one not done."""
        policy.check(actor, Action.RESOLVE)
        command = c.ResolveEffects(
            execution=execution,
            answers=self._answers(execution, fields),
            actor=wire.actor_to_wire(actor),
            reason=given_reasons.read(fields, self._limits),
        )
        await self._say(c.Command(version=1, resolve_effects=command), execution, within_s)

    def _answers(self, execution: str, fields: Mapping[str, Any]) -> Sequence[c.Answer]:
        everywhere = fields.get("all")
        if everywhere:
            known = self._state().executions.get(ExecutionId(execution))
            doubts = known.intents.values() if known is not None else ()
            return [
                c.Answer(effect_key=intent.effect_key, answer=str(everywhere))
                for intent in doubts
                if intent.is_in_doubt
            ]
        return [
            c.Answer(effect_key=str(answer["effect"]), answer=str(answer["answer"]))
            for answer in fields.get("answers", ())
        ]

    async def _say(self, command: c.Command, execution: str, within_s: float) -> None:
        result = await self._forwarder.insist([command], within_s=within_s)
        match result.outcomes[0]:
            case Applied():
                return
            case Rejected() as rejected:
                raise refusals.error_of(rejected, execution=execution)
