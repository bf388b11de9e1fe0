"""Every kind of line of a timeline is played, and told on its page as it is."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from molecule.cluster.changes import TimelineRow
from molecule.wire.v1 import commands_pb2 as wire
from tests.scenarios.runner import Runner
from tests.scenarios.script import parse
from tests.unit.cluster.builders import Replica

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "timeline.md"
NO_OWNER = ("accepted", "cancel", "ended", "refused", "truncated", "replaced")
"""Told of executions too that no node has had, or that have ended."""


def of_scenarios() -> Iterable[TimelineRow]:
    for file in sorted(HERE.glob("*.txt")):
        runner = Runner()
        for block in parse(file.read_text()):
            runner.block(block.commands)
        yield from runner.world.timeline


def of_steps_and_answers() -> Iterable[TimelineRow]:
    """What the language of the scenarios has no words for."""
    replica = Replica(timeline_rows_per_execution_max=7)
    token = replica.start("e1")
    step = wire.StepRecord(step="it", error="no", error_code="data", detail="a line")
    for sequence in (1, 2):
        checkpoint = wire.RecordCheckpoint(
            execution="e1",
            token=token,
            sequence=sequence,
            position=wire.Payload(inline=b"place"),
            answer=wire.HttpAnswer(status=200),
            steps=[step],
        )
        yield from replica.result(record_checkpoint=checkpoint).changes.timeline


def told_on_the_page() -> dict[str, set[str]]:
    found = {}
    for line in PAGE.read_text().splitlines():
        row = re.fullmatch(r"\| `(\w+)` \| .+ \| (.+) \|", line)
        if row:
            found[row[1]] = set(re.findall(r"`(\w+)`", row[2]))
    found["quarantined"] |= found["worker_died"] - {"charged"}
    found["quarantined"] -= {"charged", "worker_died"}
    return found


def test_every_kind_is_played_and_told_with_its_facts() -> None:
    played: dict[str, set[str]] = defaultdict(set)
    for row in (*of_scenarios(), *of_steps_and_answers()):
        played[row.kind] |= set(row.facts)
        assert row.index > 0, row
        assert row.at_ms > 0, row
        if row.kind not in NO_OWNER:
            assert row.node, row
            assert row.token, row
            assert row.attempt, row
    assert dict(played) == told_on_the_page()


def test_every_kind_that_the_code_tells_is_on_the_page() -> None:
    cluster = HERE.parents[1] / "molecule" / "cluster"
    source = "\n".join(file.read_text() for file in sorted(cluster.glob("*.py")))
    told = set(re.findall(r'\.tell(?:_ended)?\(state, \w+, "(\w+)"', source))
    assert len(told) > 15
    assert told <= set(told_on_the_page())
