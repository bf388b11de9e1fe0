"""Volatile executions in a worker: the real runner, and a node process that keeps nothing."""

import asyncio
from typing import Any

from molecule.config import Limits
from molecule.model import payload
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker import volatile
from molecule.worker.cluster_clock import ClusterClock
from molecule.worker.processing import Processing
from molecule.worker.runner import Services
from tests.fakes.executions import a_process, documents
from tests.fakes.node_side import HeldLease, OnePackage
from tests.fakes.target import Target

RESPOND = """
steps:
  - {id: answer, type: respond, status: 202, body: {n: "${n}"}}
  - {id: shape, type: map, to: {n: n + 1}}
"""
SLOW = "steps: [{id: rest, type: wait, for: 20ms}, {id: shape, type: map, to: {n: n + 1}}]"


class NoCalls:
    """Nothing is ever said to the real node process."""

    async def call(self, message: w.FromWorker) -> w.CallAnswer:
        raise AssertionError(message)


class Worker:
    """What a worker shares, and what it says."""

    def __init__(self, steps: str, **limits: int) -> None:
        self.lease = HeldLease()
        self.target = Target()
        self.said: list[w.WorkerReply] = []
        self.services = Services(
            NoCalls(),
            self.lease,
            ClusterClock(),
            OnePackage(a_process(steps), self.target),
            Processing(),
            Limits(**limits),
            settle_ms=10,
        )

    async def run(self, value: Any, **fields: Any) -> w.VolatileSaid:
        order = w.RunVolatile(
            execution="v1",
            process="story",
            version="v",
            environment="test",
            input=payload.encode_documents(documents(value)),
            attempt=1,
            submitted_at_ms=1_700_000_000_000,
            cluster_time_ms=1_700_000_000_000,
            **{"deadline_in_ms": 5_000, **fields},
        )
        try:
            await volatile.run(order, self.services, self.said.append)
        finally:
            self.services.processing.close()
        last = self.said[-1]
        assert (last.code, last.goes_on) == ("", False)
        return last.volatile


def values(said: w.VolatileSaid) -> list[Any]:
    return [document.value for document in payload.decode_documents(said.result)]


async def test_it_ends_with_its_documents_and_its_steps() -> None:
    worker = Worker("steps: [{id: shape, type: map, to: {n: n + 1}}]")
    said = await worker.run({"n": 1})
    assert (said.state, values(said), said.error) == ("COMPLETED", [{"n": 2}], "")
    assert [step.step for step in said.steps] == ["shape"]
    assert len(worker.said) == 1


async def test_large_results_stay_in_memory_up_to_a_bound() -> None:
    large = {"text": "x" * 100_000}
    shape = "steps: [{id: shape, type: map, to: {text: text}}]"
    assert values(await Worker(shape).run(large)) == [large]
    said = await Worker(shape, volatile_bytes_max=64 * 1024).run(large)
    assert said.state == "FAILED"
    assert "volatile_bytes_max" in said.error


async def test_a_failed_step_is_told_with_its_code() -> None:
    said = await Worker("steps: [{id: bad, type: raise, code: broken}]").run({"n": 1})
    assert (said.state, said.error_code, said.step) == ("FAILED", "broken", "bad")


async def test_the_caller_of_a_listener_is_answered_first() -> None:
    worker = Worker(RESPOND)
    said = await worker.run({"n": 1}, listens=True)
    first, last = worker.said
    assert (first.goes_on, first.volatile.answer.status) == (True, 202)
    assert (last.volatile.state, values(said)) == ("COMPLETED", [{"n": 2}])


async def test_nobody_listens_so_only_the_end_is_told() -> None:
    worker = Worker(RESPOND)
    assert (await worker.run({"n": 1})).state == "COMPLETED"
    assert len(worker.said) == 1


async def test_its_deadline_ends_it() -> None:
    said = await Worker(SLOW.replace("20ms", "30s")).run({"n": 1}, deadline_in_ms=30)
    assert (said.state, said.error_code) == ("FAILED", "timeout")


async def test_what_would_wait_elsewhere_waits_here() -> None:
    said = await Worker(SLOW, wait_in_worker_ms_max=1).run({"n": 1})
    assert (said.state, values(said)) == ("COMPLETED", [{"n": 2}])


async def test_a_worker_without_a_lease_sends_nothing_and_says_that_it_was_lost() -> None:
    worker = Worker("steps: [{id: read, type: target.read}]")
    worker.lease.is_over = True
    said = await worker.run({"n": 1})
    assert (said.state, bool(said.lost)) == ("", True)
    assert worker.target.received == []


async def test_it_stops_when_nobody_waits_any_more() -> None:
    worker = Worker(SLOW.replace("20ms", "30s"))
    task = asyncio.create_task(worker.run({"n": 1}))
    await asyncio.sleep(0)
    task.cancel()
    results = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert worker.said == []
