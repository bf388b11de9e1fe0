"""I4: only the current token commits, and who lost an execution stops touching the world.

Tokens are read from timelines and from the words in the log, late effects from the target. That a
late word was refused at all is a demand of the verdict. What must stay true: an entry of the log
may hold a word and the end of its token, so a token counts up to and with the entry that ends it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from chaos.checks.violation import Violation, sorted_lines
from chaos.history import History
from chaos.records import EffectSeen, Timeline, Word

_ENDS_TOKEN = frozenset({"pending", "waiting", "in_doubt", "quarantined", "held", "ended"})
_OF_THE_HOLDER = frozenset({"step", "checkpoint", "intent", "answered"})


@dataclass(frozen=True, slots=True)
class _Held:
    """An assignment, from the entry that made it to the one that ended it."""

    token: int
    first: int
    last: float


def violations(history: History) -> tuple[Violation, ...]:
    """Everything that breaks I4."""
    return tuple(
        chain(
            *(_timeline(timeline) for timeline in history.timelines.values()),
            _shared(history),
            _words(history),
            _late_effects(history),
        )
    )


def _held(timeline: Timeline) -> list[_Held]:
    found: list[_Held] = []
    for row in timeline.rows:
        if row.kind == "assigned":
            found.append(_Held(row.token, row.index, float("inf")))
        elif row.kind in _ENDS_TOKEN and found and found[-1].last == float("inf"):
            found[-1] = _Held(found[-1].token, found[-1].first, row.index)
    return found


def _timeline(timeline: Timeline) -> Iterator[Violation]:
    """Tokens grow, attempts count, and what is told of a holder carries its token."""
    token = attempt = 0
    for row in timeline.rows:
        if row.kind == "assigned":
            if row.token <= token:
                yield _violation(
                    "a token did not grow", timeline, f"{row.token} after {token} at {row.index}"
                )
            if row.attempt != attempt + 1:
                yield _violation(
                    "an attempt was not counted",
                    timeline,
                    f"{row.attempt} after {attempt} at {row.index}",
                )
            token, attempt = row.token, row.attempt
        elif row.kind in _OF_THE_HOLDER and row.token != token:
            yield _violation(
                "an old token committed",
                timeline,
                f"{row.kind} of token {row.token} at {row.index}, where {token} was current",
            )


def _violation(rule: str, timeline: Timeline, detail: str) -> Violation:
    return Violation(
        "I4", rule, f"{timeline.execution}: {detail}", (timeline.execution,), (timeline.line,)
    )


def _shared(history: History) -> Iterator[Violation]:
    """A token is of one assignment in the whole cluster."""
    owners: dict[int, Timeline] = {}
    for timeline in history.timelines.values():
        for held in _held(timeline):
            first = owners.setdefault(held.token, timeline)
            if first is not timeline:
                yield Violation(
                    "I4",
                    "a token was given twice",
                    f"{held.token} to {first.execution} and to {timeline.execution}",
                    (first.execution, timeline.execution),
                    sorted_lines((first.line, timeline.line)),
                )


def _words(history: History) -> Iterator[Violation]:
    """A word that counted was said by who held the execution at that entry."""
    held = {execution: _held(timeline) for execution, timeline in history.timelines.items()}
    for word in history.each(Word):
        if not word.accepted or word.execution not in held:
            continue
        current = {one.token for one in held[word.execution] if one.first <= word.index <= one.last}
        if word.token not in current:
            named = ", ".join(str(token) for token in sorted(current)) or "none"
            yield Violation(
                "I4",
                "an old token committed",
                f"{word.execution}: {word.word} of token {word.token} at {word.index}, "
                f"where {named} was current",
                (word.execution,),
                sorted_lines((word.line, history.timelines[word.execution].line)),
            )


def _late_effects(history: History) -> Iterator[Violation]:
    """Nothing arrives for an execution long after a client was told that it is over."""
    over: dict[str, tuple[int, int]] = {}
    for execution, _, operation in history.ends_told:
        told = (operation.answered.at_us, operation.answered.line)
        over[execution] = min(over.get(execution, told), told)
    executions = Counter(told[0].origin for told in history.endings.values())
    allowed_us = history.header.bounds.late_effect_ms * 1000
    for effect in history.each(EffectSeen):
        known = over.get(effect.origin)
        if known is None or executions[effect.origin] > 1:
            continue
        if effect.at_us > known[0] + allowed_us:
            late_ms = (effect.at_us - known[0]) // 1000
            yield Violation(
                "I4",
                "an effect after the end",
                f"{effect.origin}: {effect.step} arrived {late_ms} ms after its end was told",
                (effect.origin, effect.effect_key),
                sorted_lines((known[1], effect.line)),
            )
