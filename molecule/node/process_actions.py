"""What people do to processes: pause, resume, and let a key go that is held for dead letters."""

from collections.abc import Callable, Mapping
from typing import Any

from molecule.access import policy
from molecule.access.policy import Action, Actor
from molecule.cluster.outcome import Rejected
from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.model.ids import ProcessName
from molecule.node import given_reasons, refusals, wire
from molecule.node.forwarder import Forwarder
from molecule.node.submit import deployed
from molecule.wire.v1 import commands_pb2 as c


class ProcessActions:
    """Used by the gateway's door."""

    def __init__(
        self, *, forwarder: Forwarder, state: Callable[[], ClusterState], limits: Limits
    ) -> None:
        self._forwarder = forwarder
        self._state = state
        self._limits = limits

    async def pause(
        self,
        actor: Actor,
        process: str,
        fields: Mapping[str, Any],
        *,
        paused: bool,
        within_s: float,
    ) -> None:
        """Let nothing of it start, or let it start again. Doing it twice is like once."""
        policy.check(actor, Action.PAUSE)
        said = c.PauseProcess(
            environment=self._environment(process, fields),
            process=process,
            paused=paused,
            actor=wire.actor_to_wire(actor),
            reason=given_reasons.read(fields, self._limits),
        )
        await self._say(c.Command(version=1, pause_process=said), process, within_s)

    async def settle_key(
        self, actor: Actor, process: str, fields: Mapping[str, Any], *, within_s: float
    ) -> None:
        """Let the executions of a key go on whose dead letters are settled."""
        policy.check(actor, Action.SETTLE)
        said = c.SettleKey(
            environment=self._environment(process, fields),
            process=process,
            concurrency_key=str(fields.get("concurrency_key", "")),
            actor=wire.actor_to_wire(actor),
        )
        await self._say(c.Command(version=1, settle_key=said), process, within_s)

    def _environment(self, process: str, fields: Mapping[str, Any]) -> str:
        environment = str(fields.get("environment", ""))
        return deployed(self._state(), ProcessName(process), environment).environment

    async def _say(self, command: c.Command, process: str, within_s: float) -> None:
        result = await self._forwarder.insist([command], within_s=within_s)
        outcome = result.outcomes[0]
        if isinstance(outcome, Rejected):
            raise refusals.error_of(outcome, process=process)
