"""What becomes of an execution whose holder is gone: by its version's failover, and by whose fault.

Whether the holder is gone was judged before, by an `apply_*` module. What stays true: nothing ends
as FAILED here while nobody knows what became of a `once` effect of it.
"""

from dataclasses import asdict, replace
from typing import Final

from molecule.cluster import holding, queues, transitions
from molecule.cluster.changes import Changes
from molecule.cluster.execution import Death, Execution
from molecule.cluster.state import ClusterState
from molecule.model.execution import ExecutionState

_S: Final = ExecutionState
FAILOVER_FAILED: Final = "failover"
"""Error code of what ends because its version says that a loss ends it."""


def lose(
    state: ClusterState,
    execution: Execution,
    changes: Changes,
    *,
    reason: str,
    charge: Death | None = None,
) -> None:
    """Take it from a holder that is gone, as the version's failover says.

    With an effect in doubt it waits first until no late request of the old holder can be under way.
    `charge`: its worker died while it ran a step. Its attempts get a worker of their own from then
    on, and too many deaths of such a worker end in quarantine.
    """
    changes.touch(execution)
    state.totals["moved"] += 1
    version = queues.version_of(state, execution)
    progress = transitions.progress_of(execution)
    if charge is not None and _is_budget_spent(execution, charge, budget=version.crash_budget):
        state.totals["quarantined"] += 1
        facts = {"crashes": progress.crashes, **asdict(charge)}
        transitions.park(state, execution, _S.QUARANTINED, changes, reason=reason, facts=facts)
        return
    if version.failover == "fail":
        _end_or_ask(state, execution, changes, reason=reason)
        return
    # Started anew it would do again what must not happen twice, and forget what is in doubt.
    if version.failover == "restart" and not progress.once_begun:
        transitions.forget_position(state, execution, changes)
    if version.failover == "hold":
        holding.begin(state, progress, execution, for_ms=version.hold_for_ms)
    in_doubt_until_ms = transitions.doubt_ends_ms(state, execution)
    if in_doubt_until_ms:
        transitions.wait(state, execution, changes, until_ms=in_doubt_until_ms, reason=reason)
    elif execution.held_for and not state.nodes[execution.node].is_up:
        facts = {"node": execution.node, "until_ms": progress.held_until_ms}
        transitions.park(state, execution, _S.HELD, changes, reason=reason, facts=facts)
    else:
        transitions.give_back(state, execution, changes, reason=reason)


def _is_budget_spent(execution: Execution, death: Death, *, budget: int) -> bool:
    """Charge a worker's death; only one in which nobody else can be to blame counts."""
    progress = transitions.progress_of(execution)
    progress.is_marked = True
    progress.last_death = death
    progress.crashes += death.alone
    return death.alone and progress.crashes >= budget > 0


def _end_or_ask(
    state: ClusterState, execution: Execution, changes: Changes, *, reason: str
) -> None:
    """End it, after people said what became of its effects: nobody runs it again to ask."""
    step, effects = ask_people(execution)
    if effects:
        state.totals["in_doubt"] += 1
        facts = {"effects": effects, "step": step}
        transitions.park(state, execution, _S.IN_DOUBT, changes, reason=reason, facts=facts)
    else:
        end(state, execution, changes, reason=reason)


def end(state: ClusterState, execution: Execution, changes: Changes, *, reason: str) -> None:
    """End it as FAILED by its failover."""
    transitions.end(state, execution, _S.FAILED, changes, reason=reason, error_code=FAILOVER_FAILED)


def only_ends(state: ClusterState, execution: Execution) -> bool:
    """True when it is in doubt because its holder was lost, and its failover lets no other begin.

    A holder that gave it up in doubt had the last word under its token; one that was lost did not.
    """
    is_lost = execution.token_ended != execution.token
    return is_lost and queues.version_of(state, execution).failover == "fail"


def ask_people(execution: Execution) -> tuple[str, int]:
    """Doubts are for people from now on; the step of the first one, and how many there are."""
    intents = transitions.progress_of(execution).intents
    doubts = [intent for intent in intents.values() if intent.is_in_doubt]
    for intent in doubts:
        intents[intent.effect_key] = replace(intent, resolution="")
    return doubts[0].step if doubts else "", len(doubts)
