"""I2: no acknowledged step is lost, and completed means all steps.

The steps that a process always does are declared in the header; what each did is read from the
target and from the timeline. How often the target was called is left to I3. What must stay true: a
timeline that was cut is never taken for a missing step.
"""

from collections import defaultdict
from collections.abc import Iterator

from chaos.checks.violation import Violation, sorted_lines
from chaos.declared import DeclaredProcess
from chaos.history import History
from chaos.records import EffectSeen, Ending, Timeline
from molecule.model.execution import ExecutionState


def violations(history: History) -> tuple[Violation, ...]:
    """Everything that breaks I2."""
    heard: dict[tuple[str, str], set[int]] = defaultdict(set)
    for effect in history.each(EffectSeen):
        heard[effect.origin, effect.step].add(effect.line)
    found: list[Violation] = []
    for execution, told in history.endings.items():
        declared = history.header.processes.get(told[0].process)
        if declared is None:
            continue
        timeline = history.timelines.get(execution)
        committed = _committed(timeline)
        completed = [ending for ending in told if ending.state is ExecutionState.COMPLETED]
        if completed:
            found += _completed(completed, declared, heard=heard, timeline=timeline)
        found += _told(told[0], declared, committed=committed, heard=heard, timeline=timeline)
    return tuple(found)


def _committed(timeline: Timeline | None) -> dict[str, int]:
    """How often the timeline tells each step as done."""
    counts: dict[str, int] = defaultdict(int)
    for row in timeline.rows if timeline is not None else ():
        # A step that was retried with success still tells the error of its last failed try.
        failed = row.facts.get("error_code") and not row.facts.get("documents_out")
        if row.kind == "step" and not failed:
            counts[str(row.facts.get("step", ""))] += 1
    return counts


def _completed(
    completed: list[Ending],
    declared: DeclaredProcess,
    *,
    heard: dict[tuple[str, str], set[int]],
    timeline: Timeline | None,
) -> Iterator[Violation]:
    """A completed execution has done every declared step, and its timeline tells so."""
    ending = completed[0]
    lines = {one.line for one in completed}
    for step in declared.steps:
        if not heard.get((ending.origin, step.step)):
            yield Violation(
                "I2",
                "completed without a step",
                f"{ending.execution}: the target never heard of {step.step}",
                (ending.execution, step.step),
                sorted_lines(lines),
            )
    if timeline is None or any(row.kind == "truncated" for row in timeline.rows):
        return
    told = _committed(timeline)
    for step in declared.steps:
        if step.step not in told:
            yield Violation(
                "I2",
                "completed, and a step is not in the timeline",
                f"{ending.execution}: {step.step}",
                (ending.execution, step.step),
                sorted_lines(lines | {timeline.line}),
            )


def _told(
    ending: Ending,
    declared: DeclaredProcess,
    *,
    committed: dict[str, int],
    heard: dict[tuple[str, str], set[int]],
    timeline: Timeline | None,
) -> Iterator[Violation]:
    """What the timeline tells as done was done, and was not done again after that."""
    if timeline is None:
        return
    for step in declared.steps:
        times = committed.get(step.step, 0)
        effects = heard.get((ending.origin, step.step), set())
        if times and not effects and ending.state is not ExecutionState.COMPLETED:
            yield Violation(
                "I2",
                "a committed step left no effect",
                f"{ending.execution}: {step.step}",
                (ending.execution, step.step),
                (timeline.line,),
            )
        if times > 1 and not declared.may_restart:
            yield Violation(
                "I2",
                "a committed step was done again",
                f"{ending.execution}: {step.step} is told {times} times",
                (ending.execution, step.step),
                sorted_lines(effects | {timeline.line}),
            )
