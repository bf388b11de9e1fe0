"""The door of the state machine: totality, time, rows, hashes."""

import pytest

from molecule.cluster import apply_submissions, commands
from molecule.cluster.apply import StateMachine
from molecule.cluster.changes import Changes
from molecule.cluster.outcome import Outcome, Rejected, StopNode
from molecule.cluster.state import ClusterState
from molecule.model.errors import DamagedData
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import NOW_MS, Replica


def test_fault_before_installing_is_rejected_and_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = Replica()
    before = replica.machine.state_hash()

    def broken(_: object, __: object, ___: object) -> Outcome:
        raise KeyError("bug")

    monkeypatch.setattr(apply_submissions, "submit_execution", broken)
    result = replica.result(submit_execution=replica.submission("e1"))
    assert result.outcomes == (Rejected("internal"),)
    assert [alarm.name for alarm in result.changes.alarms] == ["apply_failed"]
    assert replica.machine.state_hash() == before


def test_fault_while_installing_stops_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = Replica()

    def broken(_: object, __: object, changes: Changes) -> Outcome:
        changes.dirty.mark("executions", "e1")
        raise KeyError("bug")

    monkeypatch.setattr(apply_submissions, "submit_execution", broken)
    with pytest.raises(StopNode, match="half installed"):
        replica.submit("e1")


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
def test_exhausted_process_stops_the_node(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = Replica()

    def exhausted(_: ClusterState, __: wire.Command, ___: Changes) -> Outcome:
        raise error

    monkeypatch.setattr(commands, "dispatch", exhausted)
    with pytest.raises(StopNode):
        replica.submit("e1")


def test_cluster_time_never_goes_back() -> None:
    replica = Replica()
    replica.at_ms = NOW_MS - 5_000
    replica.submit("e1")
    assert replica.state.time_ms == NOW_MS


def test_empty_entry_moves_the_index_only() -> None:
    replica = Replica()
    before = replica.machine.state_hash()
    replica.machine.apply_entry(replica.machine.index + 1, 1, b"")
    assert replica.machine.state_hash() == before


def test_rolling_hash_depends_on_outcomes() -> None:
    one, other = Replica(), Replica(nodes=1)
    assert one.machine.rolling_hash != other.machine.rolling_hash
    twin = Replica()
    assert one.machine.rolling_hash == twin.machine.rolling_hash


def test_rows_taken_once_are_not_dirty_again() -> None:
    replica = Replica()
    replica.machine.take_dirty()
    replica.submit("e1")
    taken = replica.machine.take_dirty()
    assert taken.index == replica.machine.index
    assert [(table, key) for table, key, _ in taken.rows] == [("executions", "e1"), ("header", "")]
    assert replica.machine.take_dirty().rows == []


def test_rows_encoded_ahead_are_true_for_the_index_at_which_they_are_taken() -> None:
    replica = Replica()
    replica.submit("e1")
    token = replica.start("e2")
    replica.machine.encode_dirty(replica.machine.dirty_count() - 1)
    assert replica.machine.dirty_count() == 1
    replica.assign("e1")
    replica.end("e2", token)
    taken = replica.machine.take_dirty()
    every = {(table, key): value for table, key, value in replica.machine.rows()}
    assert {(table, key): value for table, key, value in taken.rows if value is not None} == every
    assert taken.index == replica.machine.index
    assert replica.machine.take_dirty().rows == []


def test_row_of_an_ended_execution_is_gone() -> None:
    replica = Replica()
    token = replica.start("e1")
    replica.machine.take_dirty()
    replica.end("e1", token)
    rows = {(table, key): value for table, key, value in replica.machine.take_dirty().rows}
    assert rows["executions", "e1"] is None
    assert rows["ended", "e1"] is not None


@pytest.mark.parametrize(
    "row", [("executions", "e1", b"\xff\xff"), ("wishes", "", b""), ("ended", "e", b"\x12\x01x")]
)
def test_damaged_rows_are_refused(row: tuple[str, str, bytes]) -> None:
    with pytest.raises(DamagedData):
        StateMachine.restore([row], index=1, term=1, rolling_hash=b"")


def test_bounds_travel_in_the_claim() -> None:
    replica = Replica(dedup_keys_max=5)
    assert replica.state.bounds.dedup_keys_max == 5
    assert replica.state.lease_hold_ms == 2_750


def test_longer_lease_of_a_former_leader_counts_until_it_is_over() -> None:
    replica = Replica(lease_ms=10_000)
    shorter = wire.Bounds(lease_ms=1_000, lease_margin_ms=100)
    replica.say(claim_leadership=wire.ClaimLeadership(node="n2", bounds=shorter))
    replica.say(claim_leadership=wire.ClaimLeadership(node="n3", bounds=shorter))
    assert replica.state.lease_hold_ms == 10_250
    replica.at_ms += 20_500
    replica.say(claim_leadership=wire.ClaimLeadership(node="n2", bounds=shorter))
    assert replica.state.lease_hold_ms == 1_100


def test_former_leases_are_bounded_and_the_longest_is_kept() -> None:
    replica = Replica(lease_ms=10_000)
    for lease_ms in range(1_000, 9_000, 500):
        bounds = wire.Bounds(lease_ms=lease_ms, lease_margin_ms=100)
        replica.say(claim_leadership=wire.ClaimLeadership(node="n2", bounds=bounds))
    assert len(replica.state.former_leases) == 8
    assert replica.state.lease_hold_ms == 10_250
