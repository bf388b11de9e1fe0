"""I5: executions with one concurrency key run one after the other, in the order of acceptance.

Acceptance, first assignment and end are read from the timelines by the index of their entry, the
order at the target from what arrived there first. Only processes that are declared as ordered are
judged. What must stay true: two acceptances in one entry have no order between them.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, groupby, pairwise

from chaos.checks.violation import Violation, sorted_lines
from chaos.history import History
from chaos.records import EffectSeen, Timeline
from molecule.model.execution import ExecutionState


@dataclass(frozen=True, slots=True)
class Turn:
    """One execution of a key: the entries of its acceptance, its first assignment and its end.

    Without an assignment or an end yet, these are infinite.
    """

    execution: str
    idempotency_key: str
    line: int
    accepted: int
    started: float
    ended: float
    is_completed: bool


def violations(history: History) -> tuple[Violation, ...]:
    """Everything that breaks I5."""
    first_effects = _first_effects(history)
    known = _known(history)
    found: list[Violation] = []
    for key, turns in lanes(history).items():
        found += chain(
            _overlaps(key, turns),
            _arrivals(key, turns, first_effects=first_effects),
            _acceptance(key, turns, known=known),
        )
    return tuple(found)


def lanes(history: History) -> dict[str, list[Turn]]:
    """The executions of each concurrency key of ordered processes, in order of acceptance."""
    found: dict[str, list[Turn]] = defaultdict(list)
    for execution, told in history.endings.items():
        ending = told[0]
        process = history.header.processes.get(ending.process)
        timeline = history.timelines.get(execution)
        if process is None or not process.ordered or not ending.order_key or timeline is None:
            continue
        accepted = _index(timeline, "accepted")
        if accepted is None:
            continue
        turn = Turn(
            execution,
            ending.idempotency_key,
            timeline.line,
            accepted,
            _index(timeline, "assigned") or float("inf"),
            _index(timeline, "ended") or float("inf"),
            ending.state is ExecutionState.COMPLETED,
        )
        found[f"{ending.process}/{ending.order_key}"].append(turn)
    for turns in found.values():
        turns.sort(key=lambda turn: (turn.accepted, turn.started))
    return dict(found)


def _index(timeline: Timeline, kind: str) -> int | None:
    return next((row.index for row in timeline.rows if row.kind == kind), None)


def _overlaps(key: str, turns: list[Turn]) -> Iterator[Violation]:
    """Who starts finds everybody that was accepted before it at an end."""
    last: Turn | None = None
    for turn in turns:
        if last is not None and turn.started < last.ended:
            overtook = turn.started < last.started and last.accepted < turn.accepted
            yield _violation(
                "a later one overtook" if overtook else "two ran at the same time",
                f"{key}: {turn.execution} started at {turn.started}, {last.execution} at "
                f"{last.started} and ended at {last.ended}",
                pair=(last, turn),
            )
        if last is None or turn.ended > last.ended:
            last = turn


def _first_effects(history: History) -> dict[str, dict[str, EffectSeen]]:
    """Of each execution and step, the first arrival: repeats prove no order."""
    found: dict[str, dict[str, EffectSeen]] = defaultdict(dict)
    for effect in history.each(EffectSeen):
        known = found[effect.origin].get(effect.step)
        if known is None or effect.at_us < known.at_us:
            found[effect.origin][effect.step] = effect
    return found


def _arrivals(
    key: str, turns: list[Turn], *, first_effects: dict[str, dict[str, EffectSeen]]
) -> Iterator[Violation]:
    """The target hears everything of one that completes before anything of the next.

    Of one that failed or was cancelled a request may still be under way.
    """
    for earlier, later in pairwise(turns):
        before = first_effects.get(earlier.execution, {}).values()
        after = first_effects.get(later.execution, {}).values()
        if not before or not after or not earlier.is_completed:
            continue
        last = max(before, key=lambda effect: effect.at_us)
        first = min(after, key=lambda effect: effect.at_us)
        if first.at_us < last.at_us and earlier.accepted < later.accepted:
            yield _violation(
                "effects came out of order",
                f"{key}: {first.step} of {later.execution} before {last.step} of "
                f"{earlier.execution}",
                pair=(earlier, later),
                lines=(first.line, last.line),
            )


@dataclass(frozen=True, slots=True)
class _Known:
    """When keys were first asked for and first acknowledged, each with its line."""

    asked: dict[str, tuple[int, int]]
    acknowledged: dict[str, tuple[int, int]]


def _known(history: History) -> _Known:
    known = _Known({}, {})
    for submit, operation in history.submissions:
        name = submit.idempotency_key
        sent = (operation.invoked.at_us, operation.invoked.line)
        known.asked[name] = min(known.asked.get(name, sent), sent)
        if operation.is_ok:
            told = (operation.answered.at_us, operation.answered.line)
            known.acknowledged[name] = min(known.acknowledged.get(name, told), told)
    return known


def _acceptance(key: str, turns: list[Turn], *, known: _Known) -> Iterator[Violation]:
    """What was acknowledged before another one was asked for was accepted before it."""
    latest: tuple[int, int, Turn] | None = None
    for _, entry in groupby(turns, key=lambda turn: turn.accepted):
        together = list(entry)
        for turn in together:
            told = known.acknowledged.get(turn.idempotency_key)
            if latest is not None and told is not None and told[0] < latest[0]:
                yield _violation(
                    "accepted in another order than acknowledged",
                    f"{key}: {turn.execution} was acknowledged before {latest[2].execution} was "
                    "asked for",
                    pair=(latest[2], turn),
                    lines=(told[1], latest[1]),
                )
        for turn in together:
            sent = known.asked.get(turn.idempotency_key)
            if sent is not None and (latest is None or sent[0] > latest[0]):
                latest = (*sent, turn)


def _violation(
    rule: str, detail: str, *, pair: tuple[Turn, Turn], lines: tuple[int, ...] = ()
) -> Violation:
    ids = tuple(turn.execution for turn in pair)
    return Violation("I5", rule, detail, ids, sorted_lines((*lines, *(turn.line for turn in pair))))
