"""Tables and claims under crashes, races and late copies: written once, claimed by one."""

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from molecule.cluster import invariants
from molecule.cluster.key_rows import TableName
from molecule.engine.instructions import Instruction
from molecule.model.execution import ExecutionState
from tests.fakes.executions import Crashed, a_process, at_points, documents
from tests.fakes.keyed import KeyedExecution
from tests.fakes.target import Target
from tests.unit.cluster.builders import ENVIRONMENT, Replica

EVERY_KIND = """
steps:
  - {id: claim, type: dedup, key: id}
  - {id: first, type: table.put, table: stock, key: id, value: {n: 1}, if: absent}
  - {id: tell, type: target.put}
  - id: again
    type: table.put
    table: stock
    key: id
    value: {n: 2}
    if: equals
    equals: {n: 1}
    unique: {mail: id}
  - {id: read, type: table.get, table: stock, key: id, by: mail, output: {into: row}}
  - {id: gone, type: table.delete, table: stock, key: id, if: equals, equals: {n: 2}}
  - {id: last, type: table.put, table: seen, key: id, value: "${row}", if: absent}
"""
GIVEN = documents(*({"id": f"d{number}"} for number in range(3)))


def rows(replica: Replica, table: str) -> dict[str, str]:
    found = replica.state.key_tables.get(TableName(ENVIRONMENT, table))
    return {key: row.value for key, row in found.rows.items()} if found is not None else {}


def check_every_kind(execution: KeyedExecution, target: Target) -> None:
    finish = execution.run()
    assert finish.state is ExecutionState.COMPLETED, finish.failure
    assert [document.value["row"] for document in finish.documents] == [{"n": 2}] * 3
    assert len(set(target.received)) == 3
    assert rows(execution.replica, "stock") == {}
    assert rows(execution.replica, "seen") == dict.fromkeys(("d0", "d1", "d2"), '{"n":2}')
    assert invariants.broken(execution.replica.state) == []
    assert len(execution.replica.state.claims) == 3


def test_killed_at_every_point_each_write_and_claim_is_seen_once() -> None:
    process = a_process(EVERY_KIND)
    points = 0
    while True:
        passed: list[Instruction] = []
        target = Target()

        def crash(_point: str, item: Instruction, at: int = points, seen: Any = passed) -> bool:
            seen.append(item)
            return len(seen) - 1 == at

        execution = KeyedExecution(Replica(), "e1", process, GIVEN, target=target, crash=crash)
        check_every_kind(execution, target)
        if len(passed) <= points:
            break
        points += 1
    assert points > 40


@settings(max_examples=60, deadline=None)
@given(
    crashes=st.sets(st.integers(0, 90), max_size=6),
    late=st.lists(st.integers(0, 200), max_size=4),
    seed=st.integers(0, 1_000),
)
def test_late_copies_of_words_change_nothing(crashes: set[int], late: list[int], seed: int) -> None:
    target = Target()
    replica = Replica()
    dies = at_points(crashes)
    numbers = iter(range(1_000_000))

    def crash(point: str, item: Instruction) -> bool:
        # Somewhere a copy of an earlier word arrives, in the name of whoever said it.
        if next(numbers) in late and execution.copies:
            replica.commit(execution.copies[seed % len(execution.copies)])
        return dies(point, item)

    execution = KeyedExecution(
        replica, "e1", a_process(EVERY_KIND), GIVEN, target=target, crash=crash, seed=seed
    )
    check_every_kind(execution, target)


LOCK = """
steps:
  - {id: lock, type: table.put, table: locks, key: "'one'", value: "${name}", if: absent,
     on_error: drop}
  - {id: tell, type: target.put}
"""
ONCE = """
steps:
  - {id: claim, type: dedup, key: "'one'"}
  - {id: tell, type: target.put}
"""


@settings(max_examples=120, deadline=None)
@given(
    kind=st.sampled_from([LOCK, ONCE]),
    turns=st.sets(st.integers(0, 40), min_size=1, max_size=6),
    dies_1=st.sets(st.integers(0, 40), max_size=4),
    dies_2=st.sets(st.integers(0, 40), max_size=4),
    seed=st.integers(0, 100),
)
def test_of_two_that_race_exactly_one_wins(
    kind: str, turns: set[int], dies_1: set[int], dies_2: set[int], seed: int
) -> None:
    replica, target, process = Replica(), Target(), a_process(kind)
    second = KeyedExecution(
        replica,
        "e2",
        process,
        documents({"name": "e2"}),
        target=target,
        crash=at_points(dies_2),
        seed=seed,
    )
    first_dies = at_points(dies_1)
    passed = iter(range(1_000_000))

    def crash(point: str, item: Instruction) -> bool:
        # The second one has its turns between the things that the first one does.
        if next(passed) in turns and second.is_live:
            with contextlib.suppress(Crashed):
                second.attempt()
        return first_dies(point, item)

    first = KeyedExecution(
        replica, "e1", process, documents({"name": "e1"}), target=target, crash=crash, seed=seed
    )
    first.run()
    if second.is_live:
        second.run()

    winners = {key.partition("/")[0] for key, _ in target.received}
    assert len(winners) == 1
    assert [len(one.finishes[-1].documents) for one in (first, second)].count(1) == 1
    if kind is LOCK:
        assert rows(replica, "locks") == {"one": f'"{winners.pop()}"'}
    assert invariants.broken(replica.state) == []
