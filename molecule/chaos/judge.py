"""What a history proves: promises that broke, what the run lacks, and the verdict.

Reads the history and nothing else. What must stay true: a run in which too little happened, or
with a fault that nothing showed to have worked, proves nothing, and is never called kept.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from molecule.chaos.history import History, Struck
from molecule.chaos.records import (
    SIDES,
    Books,
    Ending,
    KeyRead,
    NodeSeen,
    Outcome,
    Phase,
    Probed,
    Trouble,
)
from molecule.model.execution import ACTIVE, PARKED, TERMINAL, ExecutionState

ACCEPTED_MIN: Final = 10
"""With fewer acknowledged submissions a run shows nothing."""

_WAITS: Final = PARKED | {ExecutionState.WAITING}
"""Nothing is broken when an execution waits so, as long as it may take; nor has it ended."""

_AT_WORK: Final = ACTIVE - _WAITS
_BEHIND_US: Final = 5_000_000
"""So long behind the end of a fault silence is still its own."""


class Verdict(StrEnum):
    """What a run came to."""

    KEPT = "kept"
    BROKEN = "broken"
    PROVES_NOTHING = "proves nothing"


@dataclass(frozen=True, slots=True)
class Judgement:
    """`violations` are broken promises; `lacks` is why a run proves nothing."""

    violations: tuple[str, ...]
    lacks: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """A broken promise counts whatever else the run lacks."""
        if self.violations:
            return Verdict.BROKEN
        return Verdict.PROVES_NOTHING if self.lacks else Verdict.KEPT


def judge(history: History) -> Judgement:
    """Everything that the history shows to be broken, and everything that it fails to show."""
    violations = [*_keys(history)]
    if _is_whole(history):
        violations += [*_ends(history), *_books(history), *_nodes(history), *_recovered(history)]
    return Judgement(tuple(violations), tuple(_lacks(history)))


def outage_ms(history: History, fault: Struck) -> int:
    """The longest time around a fault in which no address accepted anything."""
    began_us = fault.began.at_us
    ended_us = fault.ended.at_us if fault.ended is not None else history.records[-1].at_us
    others = [one.began.at_us for one in history.faults if one.began.at_us > began_us]
    # Behind the beginning of the final phase nobody submits any more.
    final = history.phase(Phase.FINAL)
    end_us = history.records[-1].at_us if final is None else final.at_us
    until_us = max(began_us, min([ended_us + _BEHIND_US, end_us, *others]))
    accepted = history.accepted_at_us
    first = max(0, bisect_left(accepted, began_us) - 1)
    around = [*accepted[first : bisect_right(accepted, until_us)], until_us]
    return max((later - earlier for earlier, later in pairwise(around)), default=0) // 1000


def _is_whole(history: History) -> bool:
    return history.closed is not None and not history.closed.interrupted


def _keys(history: History) -> Iterator[str]:
    """A key has one execution, whoever asks and however often; a refused one has none."""
    for key, executions in history.acknowledged.items():
        if len(executions) > 1:
            yield f"the answer to key {key} changed: {', '.join(sorted(executions))}"
    refused: dict[str, bool] = {}
    for operation in history.operations:
        key = operation.invoked.idempotency_key
        refused[key] = refused.get(key, True) and operation.outcome is Outcome.REFUSED
    for read in history.each(KeyRead):
        key = read.idempotency_key
        if len(read.executions) > 1:
            yield f"key {key} has more than one execution: {', '.join(read.executions)}"
        if refused.get(key) and read.executions:
            yield f"key {key} was refused, and {read.executions[0]} is there"
        if not read.executions and key in history.acknowledged:
            yield f"key {key} was acknowledged, and the cluster knows nothing of it"


def _ends(history: History) -> Iterator[str]:
    """Each acknowledged submission has one terminal state, and every address tells the same."""
    told: dict[str, dict[str, Ending]] = defaultdict(dict)
    for ending in history.each(Ending):
        told[ending.execution][ending.url] = ending
    answering = {probe.url for probe in history.each(Probed) if probe.answered}
    for key, executions in history.acknowledged.items():
        for execution in sorted(executions):
            endings = told.get(execution, {})
            for url in sorted(answering):
                found = endings.get(url)
                if found is None or found.state is None:
                    yield f"{execution} (key {key}) was acknowledged and is not known at {url}"
                elif found.state in _AT_WORK:
                    yield f"{execution} is stuck: still {found.state} at {url}"
            states = {one.state for one in endings.values() if one.state in TERMINAL}
            if len(states) > 1:
                named = ", ".join(sorted(str(state) for state in states))
                yield f"{execution} ended in more than one state: {named}"


def _books(history: History) -> Iterator[str]:
    for books in history.each(Books):
        parts = {name: getattr(books, name) for name in SIDES}
        gap = books.accepted - sum(parts.values())
        if gap:
            said = ", ".join(f"{count} {name}" for name, count in parts.items())
            yield f"{books.url} accepted {books.accepted} and accounts for {said}: {gap} too few"


def _nodes(history: History) -> Iterator[str]:
    """What hooks did not heal is theirs and no promise of the cluster."""
    excused = {
        node
        for fault in history.faults
        if fault.began.means == "hook" and (fault.ended is None or not fault.ended.healed)
        for node in fault.began.nodes
    }
    for fault in history.faults:
        if fault.began.means != "hook" and fault.ended is not None and not fault.ended.healed:
            yield f"{_name(fault)}: the victim did not come back: {fault.ended.why}"
    for seen in history.each(NodeSeen):
        if not seen.up and seen.node not in excused:
            yield f"node {seen.node} is down after the last fault"
    if not excused:
        for probe in history.each(Probed):
            if not probe.answered:
                yield f"{probe.url} does not answer after the last fault"


def _recovered(history: History) -> Iterator[str]:
    """Behind each fault something was accepted again, if the work was ever accepted."""
    accepted = history.accepted_at_us
    for fault in history.faults:
        ended = fault.ended
        if ended is None or not ended.healed or not accepted:
            continue
        if bisect_right(accepted, ended.at_us) == len(accepted):
            yield f"nothing was accepted any more after {_name(fault)}"


def _lacks(history: History) -> Iterator[str]:
    closed = history.closed
    if closed is None:
        yield "the run was killed: its history has no end"
    elif closed.interrupted:
        yield "the run was interrupted"
    for trouble in history.each(Trouble):
        yield trouble.what
    if not history.faults:
        yield "no fault was made"
    for fault in history.faults:
        if not fault.is_confirmed:
            why = fault.unconfirmed.why if fault.unconfirmed else "nothing showed that it worked"
            yield f"{_name(fault)} is not confirmed: {why}"
        if fault.began.means == "hook" and fault.ended is not None and not fault.ended.healed:
            yield f"{_name(fault)} is not healed: {fault.ended.why}"
    made = {fault.began.fault_kind for fault in history.faults}
    missing = [kind for kind in history.header.faults if kind not in made]
    if history.faults and missing:
        yield f"never made: {', '.join(missing)}"
    acknowledged = len(history.acknowledged)
    if acknowledged < ACCEPTED_MIN:
        yield f"only {acknowledged} submissions were acknowledged, at least {ACCEPTED_MIN} must be"
    if _is_whole(history):
        yield from _unread(history)


def _unread(history: History) -> Iterator[str]:
    probes = history.each(Probed)
    answering = {probe.url for probe in probes if probe.answered}
    if not answering:
        yield "nobody could be asked at the end"
    missing = answering - {books.url for books in history.each(Books)}
    if missing:
        yield f"the books were not told by {', '.join(sorted(missing))}"
    seen = {record.node for record in history.each(NodeSeen)}
    unseen = [node for node in history.header.nodes if node not in seen]
    if unseen:
        yield f"the cluster told nothing of {', '.join(unseen)} at the end"
    read = {record.idempotency_key for record in history.each(KeyRead)}
    unread = {one.invoked.idempotency_key for one in history.operations} - read
    if unread:
        yield f"{len(unread)} keys were not looked up at the end"
    waiting = {one.execution: one.state for one in history.each(Ending) if one.state in _WAITS}
    for execution, state in sorted(waiting.items()):
        yield f"{execution} has not ended: it is {state}, and waits for a time, a word or a person"


def _name(fault: Struck) -> str:
    began = fault.began
    return f"fault {began.fault} ({began.fault_kind} {' '.join(began.nodes)})"
