"""What holds for every log: nothing raises, replicas agree, snapshots go on like the original."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molecule.cluster import invariants
from molecule.cluster.apply import StateMachine
from molecule.cluster.outcome import Rejected, StopNode
from molecule.wire.v1 import commands_pb2 as wire
from tests.properties import beginning, garbage, logs

SEEDS = st.integers(0, 2**32)


def apply_all(machine: StateMachine, log: list[bytes]) -> None:
    for data in log:
        machine.apply_entry(machine.index + 1, 1, data)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_garbage_is_refused_and_breaks_nothing(seed: int) -> None:
    chance = random.Random(seed)
    machine = StateMachine()
    apply_all(machine, [logs.entry(logs.START_MS, *beginning.setting_up()), *logs.seeded(seed, 20)])
    for _ in range(40):
        good = logs.command(machine.state, logs.chosen(chance))
        commands = [garbage.command(chance), garbage.spoiled(good, chance)]
        at_ms = chance.choice((0, -(2**63), logs.START_MS + 5_000))
        result = machine.apply_entry(machine.index + 1, 1, logs.entry(at_ms, *commands))
        assert len(result.outcomes) == len(commands)
        assert not result.changes.alarms, result.changes.alarms
        assert invariants.broken(machine.state) == []
        machine.take_dirty()
    restored = StateMachine.restore(
        machine.rows(), index=machine.index, term=1, rolling_hash=machine.rolling_hash
    )
    assert restored.state_hash() == machine.state_hash()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_entry_are_refused_or_stop_the_node(data: bytes) -> None:
    machine = StateMachine()
    before = machine.state_hash()
    try:
        result = machine.apply_entry(1, 1, data)
    except StopNode:
        assert machine.state_hash() == before
        assert machine.index == 0
    else:
        assert machine.index == 1
        assert all(isinstance(outcome, Rejected) for outcome in result.outcomes)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(0, 80))
def test_restored_state_goes_on_like_the_original(seed: int, cut: int) -> None:
    log = logs.seeded(seed, 80)
    original = StateMachine()
    apply_all(original, log[:cut])
    shuffled = list(original.rows())
    random.Random(seed).shuffle(shuffled)
    restored = StateMachine.restore(
        shuffled, index=original.index, term=original.term, rolling_hash=original.rolling_hash
    )
    assert restored.state_hash() == original.state_hash()
    for data in log[cut:]:
        one = original.apply_entry(original.index + 1, 1, data)
        other = restored.apply_entry(restored.index + 1, 1, data)
        assert one.outcomes == other.outcomes
        assert one.changes.timeline == other.changes.timeline
        assert invariants.broken(restored.state) == []
    assert restored.state_hash() == original.state_hash()
    assert restored.rolling_hash == original.rolling_hash


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_dirty_rows_add_up_to_the_whole_state(seed: int) -> None:
    machine = StateMachine()
    stored: dict[tuple[str, str], bytes] = {}
    for number, data in enumerate(logs.seeded(seed, 60)):
        machine.apply_entry(machine.index + 1, 1, data)
        if number % 3 == 1:
            machine.encode_dirty(number)
        if number % 7 == 3:
            for table, key, value in machine.take_dirty().rows:
                if value is None:
                    stored.pop((table, key), None)
                else:
                    stored[table, key] = value
    for table, key, value in machine.take_dirty().rows:
        stored.pop((table, key), None)
        if value is not None:
            stored[table, key] = value
    assert stored == {(table, key): value for table, key, value in machine.rows()}
    assert machine.dirty_count() == 0


_CHILD = """
import json, sys
from molecule.cluster.apply import StateMachine
machine = StateMachine()
for index, data in enumerate(json.load(sys.stdin), 1):
    machine.apply_entry(index, 1, bytes.fromhex(data))
print(machine.rolling_hash.hex(), machine.state_hash().hex())
"""


def test_one_log_gives_one_state_under_every_hash_seed() -> None:
    log = logs.seeded(7, 400)
    log += [logs.entry(0, garbage.command(random.Random(seed))) for seed in range(200)]
    given_log = json.dumps([data.hex() for data in log])
    root = Path(__file__).parents[2]
    told = {
        subprocess.run(
            [sys.executable, "-c", _CHILD],
            input=given_log,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(told) == 1


@pytest.mark.parametrize(
    "command", [wire.Command(version=2), wire.Command(version=1), wire.Command()]
)
def test_unknown_command_stops_the_node_before_anything_changed(command: wire.Command) -> None:
    machine = StateMachine()
    known = wire.Command(version=1, claim_leadership=wire.ClaimLeadership(node="n1"))
    before = machine.state_hash()
    with pytest.raises(StopNode):
        machine.apply_entry(1, 1, logs.entry(logs.START_MS, known, command))
    assert machine.state_hash() == before
    assert machine.index == 0
