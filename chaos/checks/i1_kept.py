"""I1: what was acknowledged ends in exactly one terminal state, and nothing else is there.

Also: each end has a reason, a key has one answer, the books balance. Submissions of clients and
nominal times of schedules are judged alike. Whether the steps were done is left to I2. What must
stay true: a submission that was answered `unknown` may be there or not, and only one that was
refused must not be; within a run no
key is forgotten.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain

from chaos.checks.violation import Violation, sorted_lines
from chaos.history import History
from chaos.records import (
    Books,
    Cancel,
    Due,
    EffectSeen,
    Ending,
    Phase,
    TimelineRow,
)
from molecule.model.execution import ACTIVE, PARKED, TERMINAL, ExecutionState

_MOVES = frozenset({"assigned", "pending", "waiting", "in_doubt", "quarantined", "held", "ended"})
"""Lines of a timeline that cannot stand behind its end."""


def violations(history: History) -> tuple[Violation, ...]:
    """Everything that breaks I1."""
    return tuple(
        chain(
            _lost(history),
            _unasked(history),
            _cancelled(history),
            _answers(history),
            _ends(history),
            _schedules(history),
            _books(history),
        )
    )


def _violation(rule: str, detail: str, *, ids: tuple[str, ...], lines: set[int]) -> Violation:
    return Violation("I1", rule, detail, ids, sorted_lines(lines))


def acknowledged(history: History) -> dict[str, tuple[str, set[int]]]:
    """Each execution that a client was told of: its key, and the lines that say so."""
    found: dict[str, tuple[str, set[int]]] = {}
    for submit, operation in history.submissions:
        if operation.is_ok:
            known = found.setdefault(operation.answered.execution, (submit.idempotency_key, set()))
            known[1].update(operation.lines)
    return found


def _lost(history: History) -> Iterator[Violation]:
    """Every node that told what it has, has everything that was acknowledged."""
    nodes = {ending.node for told in history.endings.values() for ending in told}
    for execution, (key, lines) in acknowledged(history).items():
        missing = nodes - {ending.node for ending in history.endings.get(execution, ())}
        if missing or not nodes:
            where = ", ".join(sorted(missing)) or "any node"
            yield _violation(
                "an acknowledged submission is lost",
                f"{execution} is not known to {where}",
                ids=(execution, key),
                lines=lines,
            )


def _unasked(history: History) -> Iterator[Violation]:
    """What is in the cluster was asked for by somebody who was not told that it is not."""
    asked: dict[str, bool] = {}
    lines: dict[str, set[int]] = defaultdict(set)
    for submit, operation in history.submissions:
        key = submit.idempotency_key
        asked[key] = asked.get(key, False) or operation.may_have_happened
        lines[key].update(operation.lines)
    for execution, told in history.endings.items():
        key = told[0].idempotency_key
        if told[0].schedule or asked.get(key):
            continue
        rule = "a refused submission is there" if key in asked else "nobody submitted it"
        found = {ending.line for ending in told} | lines[key]
        yield _violation(rule, f"{execution} of key {key}", ids=(execution, key), lines=found)
    known = history.endings.keys() | acknowledged(history).keys()
    strange: dict[str, set[int]] = defaultdict(set)
    for effect in history.each(EffectSeen):
        if effect.origin not in known:
            strange[effect.origin].add(effect.line)
    for origin, found in strange.items():
        yield _violation(
            "an effect of an execution that is not there",
            f"the target heard of {origin}",
            ids=(origin,),
            lines=found,
        )


def _cancelled(history: History) -> Iterator[Violation]:
    """What was cancelled, somebody may have cancelled."""
    asked = {
        operation.ask.execution
        for operation in history.operations
        if isinstance(operation.ask, Cancel) and operation.may_have_happened
    }
    for execution, told in history.endings.items():
        process = history.header.processes.get(told[0].process)
        lines = {one.line for one in told if one.state is ExecutionState.CANCELLED}
        replaced = process is not None and process.may_be_replaced
        if lines and execution not in asked and not replaced:
            yield _violation("nobody cancelled it", execution, ids=(execution,), lines=lines)


def _answers(history: History) -> Iterator[Violation]:
    """A key has one body and one execution, whoever asks and however often."""
    executions: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    bodies: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for submit, operation in history.submissions:
        if operation.is_ok:
            key = submit.idempotency_key
            executions[key][operation.answered.execution].update(operation.lines)
            bodies[key][submit.digest].update(operation.lines)
    yield from _more_than_one("the answer to a key changed", executions)
    yield from _more_than_one("a key was accepted with another body", bodies)
    there: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for execution, told in history.endings.items():
        for ending in told:
            if ending.idempotency_key:
                there[ending.idempotency_key][execution].add(ending.line)
    yield from _more_than_one("a key has more than one execution", there)


def _more_than_one(rule: str, found: dict[str, dict[str, set[int]]]) -> Iterator[Violation]:
    for key, values in found.items():
        if len(values) > 1:
            named = sorted(values)
            yield _violation(
                rule,
                f"{key}: {', '.join(named)}",
                ids=(key, *named),
                lines=set().union(*values.values()),
            )


def _ends(history: History) -> Iterator[Violation]:
    """One terminal state, told by whoever is asked; then nothing moves the execution again."""
    told: dict[str, dict[ExecutionState, set[int]]] = defaultdict(lambda: defaultdict(set))
    for execution, state, operation in history.ends_told:
        told[execution][state].update(operation.lines)
    for execution, endings in history.endings.items():
        for ending in endings:
            if ending.state in TERMINAL:
                told[execution][ending.state].add(ending.line)
            yield from _open_at_the_end(history, ending)
    for execution, timeline in history.timelines.items():
        ended = _first(timeline.rows, "ended")
        for place, row in enumerate(timeline.rows):
            if row.kind == "ended":
                state = ExecutionState(str(row.facts.get("state", "")))
                told[execution][state].add(timeline.line)
            if ended is not None and place > ended and row.kind in _MOVES:
                yield _violation(
                    "it went on after its end",
                    f"{execution}: {row.kind} at {row.index}",
                    ids=(execution,),
                    lines={timeline.line},
                )
    for execution, states in told.items():
        if len(states) > 1:
            yield _violation(
                "two terminal states",
                f"{execution}: {', '.join(sorted(states))}",
                ids=(execution,),
                lines=set().union(*states.values()),
            )


def _open_at_the_end(history: History, ending: Ending) -> Iterator[Violation]:
    parked = ending.state in PARKED and history.header.parked_may_remain
    if ending.state not in TERMINAL and not parked:
        yield _violation(
            "no terminal state",
            f"{ending.execution} is {ending.state} on {ending.node} at the end",
            ids=(ending.execution,),
            lines={ending.line},
        )
    elif ending.state is not ExecutionState.COMPLETED and not ending.reason:
        yield _violation(
            "an end without a reason",
            f"{ending.execution} is {ending.state}",
            ids=(ending.execution,),
            lines={ending.line},
        )


def _first(rows: tuple[TimelineRow, ...], kind: str) -> int | None:
    return next((place for place, row in enumerate(rows) if row.kind == kind), None)


def _schedules(history: History) -> Iterator[Violation]:
    """Each nominal time that fell due fired once, and no other time did."""
    fired: dict[tuple[str, int], dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for execution, told in history.endings.items():
        for ending in told:
            if ending.schedule and ending.nominal_at_ms is not None:
                fired[ending.schedule, ending.nominal_at_ms][execution].add(ending.line)
    owed = {
        (due.schedule, at_ms): due.line for due in history.each(Due) for at_ms in due.nominal_at_ms
    }
    for (schedule, at_ms), line in owed.items():
        if (schedule, at_ms) not in fired:
            yield _violation(
                "a nominal time never fired",
                f"{schedule} at {at_ms}",
                ids=(schedule,),
                lines={line},
            )
    for (schedule, at_ms), executions in fired.items():
        named = sorted(executions)
        lines = set().union(*executions.values())
        for rule, broken in (
            ("a nominal time fired twice", len(named) > 1),
            ("it fired at no nominal time", (schedule, at_ms) not in owed),
        ):
            if broken:
                detail = f"{schedule} at {at_ms}: {', '.join(named)}"
                yield _violation(rule, detail, ids=(schedule, *named), lines=lines)


def _books(history: History) -> Iterator[Violation]:
    """The conservation law, on each node at each look; at the end also against what is there."""
    last: dict[str, Books] = {}
    final = history.phase(Phase.FINAL)
    for books in history.each(Books):
        known = books.completed + books.failed + books.cancelled + books.active + books.parked
        if books.accepted != known:
            yield _violation(
                "the books do not balance",
                f"{books.node}: {books.accepted} accepted, {known} known",
                ids=(books.node,),
                lines={books.line},
            )
        if final is not None and books.line > final.line:
            last[books.node] = books
    for node, books in last.items():
        states = Counter(
            ending.state
            for told in history.endings.values()
            for ending in told
            if ending.node == node
        )
        if not states:
            continue
        counted = {
            "completed": states[ExecutionState.COMPLETED],
            "failed": states[ExecutionState.FAILED],
            "cancelled": states[ExecutionState.CANCELLED],
            "active": sum(states[state] for state in ACTIVE),
            "parked": sum(states[state] for state in PARKED),
        }
        differing = [name for name, number in counted.items() if getattr(books, name) != number]
        if differing:
            yield _violation(
                "the books differ from what is there",
                f"{node}: "
                + ", ".join(
                    f"{name} {getattr(books, name)}, not {counted[name]}" for name in differing
                ),
                ids=(node,),
                lines={books.line},
            )
