"""Why a pending execution does not run now, read off the committed state.

Nobody decided that it waits: it is what the state at its index comes to. What stays true: each
cause that a decision brought about names the log index of that decision.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Any, Final

from molecule.cluster import queues
from molecule.cluster.execution import Execution
from molecule.cluster.state import ClusterState
from molecule.config import Timing
from molecule.model import reasons
from molecule.model.ids import ExecutionId
from molecule.scheduler import place
from molecule.scheduler.liveness import Liveness

_TOLD_MAX: Final = 10
_COUNTED_MAX: Final = 10_000
_TIMING: Final = Timing()
"""Never read for a verdict: without heartbeats no node counts as silent."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What keeps it from running. `index` 0: nobody decided it, the state as a whole says so."""

    text: str
    index: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


def causes(
    state: ClusterState, execution_id: str, *, blockers: Mapping[str, int]
) -> Iterator[Cause]:
    """Its key, a pause, what goes before it, or the reason of each node, in this order."""
    execution = state.executions.get(ExecutionId(execution_id))
    if execution is None:
        return
    if not execution.ready_serial:
        yield from _key(state, execution, blockers)
        return
    deployment = state.deployments.get((execution.environment, execution.process))
    if deployment is not None and deployment.pause is not None:
        pause = deployment.pause
        by = f" by {pause.actor}" if pause.actor else ""
        because = f": {pause.reason}" if pause.reason else ""
        facts = {"reason": "paused", "actor": pause.actor, "at_ms": pause.at_ms}
        yield Cause(f"the process is paused{by}{because}", pause.index, facts)
        return
    choice = place.explain(state, execution, Liveness(), now_ms=0, timing=_TIMING)
    told = [{"node": one.node, "reason": one.reason} for one in choice]
    nodes = "; ".join(f"{one.node}: {reasons.told(one.reason)}" for one in choice)
    free = [name for name in state.nodes if name not in {one.node for one in choice}]
    if free:
        facts = {"reason": "others_first", "before": _before(state, execution), "not_chosen": told}
        text = f"{free[0]} could run it; it is its turn with the next round of the leader"
        yield Cause(text, 0, facts)
        return
    facts = {"reason": "no_node", "before": _before(state, execution), "not_chosen": told}
    yield Cause(f"no node can take it now: {nodes or 'none has registered'}", 0, facts)


def _before(state: ClusterState, execution: Execution) -> int:
    """How many of its own lane became ready before it, as far as they are counted."""
    lane = islice(state.lanes.get(queues.lane_of(execution), {}), _COUNTED_MAX)
    return sum(1 for _ in takewhile(lambda other: other != execution.id, lane))


def holders(state: ClusterState, execution_id: str) -> list[ExecutionId]:
    """Which executions hold the key that it wants; for a hold by dead letters, the ended one."""
    execution = state.executions.get(ExecutionId(execution_id))
    key = queues.key_of(execution) if execution is not None else None
    if execution is None or key is None or execution.ready_serial:
        return []
    hold = state.key_holds.get(key)
    if hold is not None:
        return [hold.execution]
    return [name for name in queues.heads(state, key) if name != execution.id][:_TOLD_MAX]


def _key(state: ClusterState, execution: Execution, blockers: Mapping[str, int]) -> Iterator[Cause]:
    key = queues.key_of(execution)
    hold = state.key_holds.get(key) if key is not None else None
    for name in holders(state, execution.id):
        facts: dict[str, Any] = {"concurrency_key": execution.concurrency_key, "execution": name}
        index = blockers.get(name, 0)
        if hold is not None:
            facts |= {"reason": "key_held_for_dead_letters", "dead_letters": hold.dead_letters}
            text = (
                f"its key {execution.concurrency_key} is held for {hold.dead_letters} dead letters "
                f"of {name} until they are settled"
            )
        else:
            holder = state.executions[name].state.value
            facts |= {"reason": "key_held", "state": holder}
            text = f"its key {execution.concurrency_key} is held by {name}, which is {holder}"
        yield Cause(text, index, facts)
