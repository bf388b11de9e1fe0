"""Bounds, due times and the invariants' own eyes."""

from collections import OrderedDict

from molecule.cluster import bounds, invariants
from molecule.cluster.due import DueTimes
from molecule.config import Limits, Timing
from molecule.model.execution import ExecutionState
from molecule.model.ids import ExecutionId, NodeId
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import Replica


def test_due_gives_what_has_come_earliest_first() -> None:
    due = DueTimes()
    for at_ms, name in ((5_500, "late"), (1_200, "b"), (1_100, "a"), (1_900, "not yet")):
        due.add(at_ms, ExecutionId(name))
    assert [*due.due(1_500)] == ["a", "b"]
    due.remove(1_100, ExecutionId("a"))
    due.remove(1_100, ExecutionId("a"))
    assert [*due.due(9_000)] == ["b", "not yet", "late"]
    assert len(due) == 3


def test_due_of_nothing_is_nothing() -> None:
    due = DueTimes()
    due.remove(1, ExecutionId("a"))
    assert [*due.due(10**12)] == []


def test_bounds_of_a_configuration_come_back_from_a_claim() -> None:
    told = bounds.to_wire(Limits(dedup_keys_max=7), Timing(lease_ms=9_000))
    back = bounds.from_wire(told)
    assert (back.dedup_keys_max, back.lease_ms) == (7, 9_000)


def test_senseless_bounds_give_way_to_defaults() -> None:
    assert bounds.from_wire(wire.Bounds(dedup_keys_max=-1)) == bounds.Bounds()


def test_numbers_from_commands_are_kept_in_range() -> None:
    assert bounds.duration(-5) == 0
    assert bounds.duration(2**63 - 1) == bounds.DURATION_MS_MAX
    assert bounds.instant(2**63 - 1) == bounds.INSTANT_MS_MAX


def test_invariants_see_what_is_broken() -> None:
    def spoiled() -> Replica:
        replica = Replica()
        replica.start("e1", concurrency_key="k", input=wire.Payload(inline=b"x"))
        replica.submit("e2")
        assert invariants.broken(replica.state) == []
        return replica

    lost = spoiled()
    del lost.state.executions[ExecutionId("e2")]
    counted = spoiled()
    counted.state.counts[ExecutionState.PENDING] += 1
    two_owners = spoiled()
    two_owners.state.nodes[NodeId("n1")].held.clear()
    out_of_lane = spoiled()
    out_of_lane.state.lanes.clear()
    keyless = spoiled()
    keyless.state.key_queues.clear()
    doubled = spoiled()
    doubled.state.keys.clear()
    waiting = spoiled()
    waiting.state.waits.add(1, ExecutionId("e2"))
    parked = spoiled()
    parked.state.parked = OrderedDict({ExecutionId("e2"): None})
    for replica in (lost, counted, two_owners, keyless, doubled, waiting, parked):
        assert invariants.broken(replica.state) != []
    assert "lanes and ready executions differ" in invariants.broken(out_of_lane.state)
