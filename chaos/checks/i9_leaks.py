"""I9: memory, descriptors, tasks and disk come back; the canary secret is in no artefact.

How much growth is none is written in the header. Whether anything was measured or searched at all
is a demand of the verdict. What must stay true: a place where the secret stood is named, the secret
never.
"""

from collections.abc import Iterator

from chaos.checks.violation import Violation, sorted_lines
from chaos.history import History
from chaos.records import Measured, Searched


def violations(history: History) -> tuple[Violation, ...]:
    """Everything that breaks I9."""
    return (*_growth(history), *_canary(history))


def _growth(history: History) -> Iterator[Violation]:
    bounds = history.header.bounds
    base: dict[str, Measured] = {}
    end: dict[str, Measured] = {}
    for measured in history.each(Measured):
        if measured.moment == "base":
            base.setdefault(measured.node, measured)
        else:
            end[measured.node] = measured
    for node, last in end.items():
        first = base.get(node)
        if first is None:
            continue
        for what, before, after, allowed in (
            ("memory", first.memory_bytes, last.memory_bytes, bounds.memory_growth_bytes_max),
            ("descriptors", first.descriptors, last.descriptors, bounds.descriptors_growth_max),
            ("tasks", first.tasks, last.tasks, bounds.tasks_growth_max),
            ("disk", first.disk_bytes, last.disk_bytes, bounds.disk_growth_bytes_max),
        ):
            if after - before > allowed:
                yield Violation(
                    "I9",
                    f"{what} did not come back",
                    f"{node}: from {before} to {after}, growth of at most {allowed} is allowed",
                    (node,),
                    sorted_lines((first.line, last.line)),
                )


def _canary(history: History) -> Iterator[Violation]:
    for searched in history.each(Searched):
        if searched.found:
            yield Violation(
                "I9",
                "the canary secret got out",
                f"{searched.artefact}: {', '.join(searched.found)}",
                (searched.artefact,),
                (searched.line,),
            )
