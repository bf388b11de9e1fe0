"""I3: `once` never happens twice, and one key has one effect at a target that takes it.

Also: a repeat brings the same key and the same bytes. Judged from what arrived at the recording
target alone. Effects of nobody are left to I1, those that come too late to I4. What must stay true:
a person's retry is another execution of the same origin and may repeat, so as many arrivals are
allowed as there are executions.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator

from chaos.checks.violation import Violation, sorted_lines
from chaos.declared import DeclaredStep
from chaos.history import History
from chaos.records import EffectSeen
from molecule.model.effect import Effect


def violations(history: History) -> tuple[Violation, ...]:
    """Everything that breaks I3."""
    executions = Counter(told[0].origin for told in history.endings.values())
    process_of = {told[0].origin: told[0].process for told in history.endings.values()}
    for submit, operation in history.submissions:
        if operation.is_ok:
            process_of.setdefault(operation.answered.execution, submit.process)
    declared = {
        (name, step.step): step
        for name, process in history.header.processes.items()
        for step in process.steps
    }
    by_step: dict[tuple[str, str], list[EffectSeen]] = defaultdict(list)
    for effect in history.each(EffectSeen):
        by_step[effect.origin, effect.step].append(effect)
    found: list[Violation] = []
    for (origin, name), arrived in by_step.items():
        step = declared.get((process_of.get(origin, ""), name))
        if step is not None:
            found += _of_step(step, origin, arrived=arrived, allowed=max(1, executions[origin]))
        found += _bytes(origin, arrived)
    return tuple(found)


def _of_step(
    step: DeclaredStep, origin: str, *, arrived: list[EffectSeen], allowed: int
) -> Iterator[Violation]:
    keys = sorted({effect.effect_key for effect in arrived})
    if len(keys) > 1:
        yield _violation(
            "one effect came under two keys", f"{origin}: {', '.join(keys)}", arrived=arrived
        )
    if step.effect is Effect.ONCE and len(arrived) > allowed:
        yield _violation(
            "`once` happened twice",
            f"{origin}: {step.step} arrived {len(arrived)} times",
            arrived=arrived,
        )
    if step.takes_key:
        for key, times in Counter(one.effect_key for one in arrived if one.applied).items():
            if times > 1:
                yield _violation(
                    "a key was applied twice", f"{key}: {times} times", arrived=arrived
                )


def _bytes(origin: str, arrived: list[EffectSeen]) -> Iterator[Violation]:
    """A repeat sends what was sent first."""
    digests: dict[str, set[str]] = defaultdict(set)
    for effect in arrived:
        digests[effect.effect_key].add(effect.digest)
    for key, various in digests.items():
        if len(various) > 1:
            yield _violation("a repeat brought other bytes", f"{origin}: {key}", arrived=arrived)


def _violation(rule: str, detail: str, *, arrived: list[EffectSeen]) -> Violation:
    ids = (arrived[0].origin, *sorted({effect.effect_key for effect in arrived}))
    return Violation("I3", rule, detail, ids, sorted_lines(effect.line for effect in arrived))
