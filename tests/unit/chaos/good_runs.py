"""Whole histories in which every promise is kept and enough happens, one for each seed."""

import random
from collections import Counter
from functools import cache

from chaos import records as r
from chaos.declared import Bounds, Demands, Header
from chaos.history import History
from chaos.record import Record
from chaos.records import Outcome, Phase
from molecule.model.execution import ExecutionState
from tests.unit.chaos import stories
from tests.unit.chaos.stories import NODES, Story, Told

DEMANDS = Demands(
    submissions=10,
    completed=10,
    effects=10,
    faults=3,
    unknown_answers=1,
    moved_executions=1,
    late_words=1,
    register_reads=2,
    ordered_executions=2,
    firings=3,
)
CALM_US = 2_000_000
FINAL_US = 3_000_000
_DAY_MS = 86_400_000


@cache
def good(seed: int, *, size: int = 12) -> History:
    """A run in which nothing is wrong; the same for the same seed."""
    story = Story(random.Random(seed))
    header = Header(
        at_us=0,
        wall_ms=1_700_000_000_000,
        seed=seed,
        commit="0" * 40,
        workload="all",
        nodes=NODES,
        processes=stories.PROCESSES,
        bounds=Bounds(late_effect_ms=stories.LATE_EFFECT_MS, recovery_ms_max=10_000),
        demands=DEMANDS,
    )
    measured(story, 1, "base")
    story.add(r.PhaseBegan, 2, phase=Phase.FAULTS)
    told = [*executions(story, size), *faults(story)]
    stories.register(story, "tables/prod/stock/a", 10_000, operations=3 * size)
    stories.register(story, "tables/prod/stock/b", 10_000, operations=size)
    raft(story)
    story.add(r.PhaseBegan, CALM_US, phase=Phase.CALM)
    told.append(at_once(story, "rows", CALM_US + 1_000))
    final(story, told)
    return written(header, story.records)


def written(header: Header, records: list[Record]) -> History:
    """The records in the order of their instants, between a header and an end."""
    ordered = sorted(records, key=lambda record: record.at_us)
    closed = r.Closed(at_us=9_999_999, wall_ms=0, records=len(ordered) + 1)
    return History.of([header, *ordered, closed])


def executions(story: Story, size: int) -> list[Told]:
    """Executions of all kinds, some of them alone and some in the lane of a key."""
    found: list[Told] = []
    for number in range(size):
        at_us = 5_000 + number * 20_000
        told = stories.submitted(story, story.rng.choice(("orders", "rows")), at_us)
        if told is None:
            continue
        start_us = told.accepted_us + story.some()
        if story.chance(0.2):
            stories.cancelled(story, told, start_us)
        else:
            if story.chance(0.2):
                told.state = ExecutionState.FAILED
            stories.run_through(story, told, start_us)
        stories.shown(story, told)
        found.append(told)
        if told.state is ExecutionState.FAILED and story.chance(0.5):
            found.append(stories.retried(story, told, told.ended_us + story.some()))
    # At least one that moves and one whose answer never comes, whatever chance says.
    found.append(at_once(story, "orders", 500_000, is_lost_first=True))
    given_up = r.Submit(process="orders", idempotency_key="given up", digest="x")
    story.ask(given_up, 510_000, 515_000, outcome=Outcome.UNKNOWN)
    return [*found, *lane(story, "customer 1", 6), *lane(story, "customer 2", 4), *firings(story)]


def at_once(story: Story, process: str, at_us: int, *, is_lost_first: bool = False) -> Told:
    """An execution that is acknowledged to the first who asks, and completes."""
    told = stories.submitted(story, process, at_us, unknown=0.0)
    assert told is not None
    stories.run_through(story, told, told.accepted_us, moves=0.0, is_lost_first=is_lost_first)
    return told


def lane(story: Story, order_key: str, count: int) -> list[Told]:
    """Executions of one key: asked for at about the same time, run one after the other."""
    found: list[Told] = []
    for number in range(count):
        at_us = 20_000 + number * story.some(200, 3_000)
        told = stories.submitted(story, "queue", at_us, order_key=order_key)
        if told is not None:
            found.append(told)
    found.sort(key=lambda told: told.accepted_us)
    free_us = 0
    for told in found:
        start_us = max(told.accepted_us, free_us)
        free_us = stories.run_through(story, told, start_us)
    return found


def firings(story: Story) -> list[Told]:
    """A schedule that fires each of its times, two of them at once after a pause."""
    times = [_DAY_MS * (1 + number) for number in range(4)]
    story.add(r.Due, FINAL_US + 1, schedule="daily", nominal_at_ms=tuple(times))
    found = []
    for number, at_ms in enumerate(times):
        accepted_us = 100_000 + max(number, 2) * 10_000
        told = Told(story.name("e"), "daily", f"daily/{at_ms}", accepted_us)
        told.schedule, told.nominal_at_ms = "daily", at_ms
        told.row("accepted", accepted_us)
        stories.run_through(story, told, accepted_us)
        found.append(told)
    return found


def faults(story: Story) -> list[Told]:
    """Four faults, each seen to work, two of them at once; and what was asked for behind them."""
    plan = (
        ("kill", ("n1",), 100_000, 160_000, True),
        ("isolate", ("n2",), 200_000, 300_000, True),
        ("freeze", ("n3",), 400_000, 520_000, False),
        ("slow_disk", ("n1",), 450_000, 560_000, False),
    )
    for number, (kind, nodes, began_us, ended_us, unseats) in enumerate(plan, start=1):
        story.add(
            r.FaultBegan, began_us, fault=number, fault_kind=kind, nodes=nodes, unseats=unseats
        )
        evidence = {"packets_dropped": 12}
        story.add(r.FaultConfirmed, began_us + 500, fault=number, evidence=evidence)
        story.add(r.FaultEnded, ended_us, fault=number)
    return [at_once(story, "rows", at_us) for at_us in (165_000, 305_000, 565_000)]


def raft(story: Story) -> None:
    """Leaders, votes and copies of three nodes; the disk of the third is lost on purpose."""
    for at_us, node, number in ((3, "n1", 1), (110_000, "n2", 2), (210_000, "n3", 4)):
        story.add(r.Led, at_us, node=node, term=number, epoch=number)
        for voter in NODES:
            story.add(r.Voted, at_us, node=voter, term=number, candidate=node)
    for at_us in range(50_000, CALM_US, 50_000):
        index = stories.log_index(at_us)
        for node in NODES:
            story.add(r.Promised, at_us, node=node, index=index)
            story.add(r.Applied, at_us, node=node, index=index, digest=f"hash {index}")
    # A former leader's entries that nobody else has, promised and taken back.
    index = stories.log_index(120_000)
    story.add(r.Promised, 120_000, node="n1", index=index + 500)
    story.add(r.Cut, 121_000, node="n1", index=index + 10)
    at_us = 150_001
    story.add(r.Restarted, at_us, node="n1", index=stories.log_index(at_us))
    story.add(r.Wiped, 300_001, node="n3")
    story.add(r.Restarted, 300_002, node="n3", index=0)
    story.add(r.Voted, 300_003, node="n3", term=4, candidate="n2")


def measured(story: Story, at_us: int, moment: str) -> None:
    """What each node uses; a little more at the end."""
    for number, node in enumerate(NODES):
        more = story.rng.randint(0, 10)
        story.add(
            r.Measured,
            at_us,
            node=node,
            moment=moment,
            memory_bytes=100_000_000 + more * 1_000_000,
            descriptors=80 + number + more,
            tasks=20 + more,
            disk_bytes=5_000_000 + more * 100_000,
        )


def final(story: Story, told: list[Told]) -> None:
    """Everything that is read when all is quiet."""
    at_us = FINAL_US
    story.add(r.PhaseBegan, at_us, phase=Phase.FINAL)
    counts = Counter(one.state for one in told)
    for node in NODES:
        story.add(r.Probed, at_us + 10, node=node, answered=True, backlog=0)
        for one in told:
            ending(story, one, node)
        story.add(
            r.Books,
            at_us + 20,
            node=node,
            accepted=len(told),
            completed=counts[ExecutionState.COMPLETED],
            failed=counts[ExecutionState.FAILED],
            cancelled=counts[ExecutionState.CANCELLED],
            active=0,
            parked=0,
        )
    for one in told:
        rows = tuple(sorted(one.rows, key=lambda row: row.index))
        for node in NODES[:2]:
            story.add(r.Timeline, at_us + 30, node=node, execution=one.execution, rows=rows)
    measured(story, at_us + 40, "end")
    story.add(r.Searched, at_us + 50, artefact="log of n1")


def ending(story: Story, told: Told, node: str) -> None:
    """What a node tells of an execution."""
    story.add(
        r.Ending,
        FINAL_US + 15,
        node=node,
        execution=told.execution,
        process=told.process,
        state=told.state,
        reason="" if told.state is ExecutionState.COMPLETED else told.state.lower(),
        idempotency_key=told.key,
        order_key=told.order_key,
        origin=told.origin,
        schedule=told.schedule,
        nominal_at_ms=told.nominal_at_ms,
    )
