"""Which volatile executions are recorded, and within which bounds."""

from typing import Any

from molecule.config import Limits
from molecule.model.errors import (
    NoLeader,
)
from molecule.wire.v1 import commands_pb2 as c
from tests.unit.node.volatile_node import Node


def a_record(process: str = "quotes", state: str = "COMPLETED", **fields: Any) -> c.VolatileRecord:
    return c.VolatileRecord(execution="v1", process=process, state=state, **fields)


async def test_one_of_so_many_of_each_process_is_recorded_and_what_failed() -> None:
    node = Node()
    node.records._limits = Limits(volatile_sample_every=3)
    for number in range(7):
        node.records.note(a_record(error=str(number)))
    node.records.note(a_record("other", error="first"))
    node.records.note(a_record(state="FAILED", error="failed"))
    assert [one.error for one in await node.recorded()] == ["0", "3", "6", "first", "failed"]


async def test_records_are_one_entry_bounded_in_number_and_size_and_never_wait() -> None:
    node = Node(volatile_records_max=2, volatile_record_bytes_max=512)
    steps = [c.StepRecord(step="x" * 200)] * 10
    for _ in range(3):
        node.records.note(a_record(steps=steps))
    kept = await node.recorded()
    assert [len(one.steps) for one in kept] == [0, 0]
    assert len(node.forwarder.said) == 1
    assert node.counts("records_dropped") == {"molecule_volatile_records_dropped_total": 1.0}


async def test_records_without_a_leader_are_dropped_and_counted() -> None:
    node = Node()
    node.forwarder.refusal = NoLeader("nobody leads")
    node.records.note(a_record())
    await node.records.report()
    node.forwarder.refusal = None
    assert await node.recorded() == []
    assert node.counts("records_dropped") == {"molecule_volatile_records_dropped_total": 1.0}


async def test_no_sample_means_no_entry() -> None:
    node = Node()
    node.records._limits = Limits(volatile_sample_every=0)
    node.records.note(a_record(state="FAILED"))
    assert await node.recorded() == []
    assert node.forwarder.said == []
