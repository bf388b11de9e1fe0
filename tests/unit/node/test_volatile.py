"""Where volatile executions run, when they are tried again, and what their callers are told."""

import asyncio
from typing import Any

import pytest

from molecule.model.errors import (
    InvalidInput,
    OutcomeUnknown,
    Overloaded,
    Unavailable,
)
from molecule.node.clock import boottime_us
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import door_pb2 as d
from molecule.wire.v1 import worker_pb2 as w
from tests.unit.node.volatile_node import ANSWER, Node, Worker


async def test_it_runs_on_the_node_that_was_asked_and_nothing_is_proposed() -> None:
    node = Node()
    (result,) = await node.ask()
    assert (result.state, result.volatile, result.execution[0]) == ("COMPLETED", True, "v")
    assert node.others.asked == []
    assert node.replica.state.executions == {}


async def test_a_durable_process_is_left_alone() -> None:
    node = Node()
    asked = d.SubmitRequest(environment="test", process="orders")
    assert await node.door.submit(asked, 0) is None


async def test_without_a_place_here_the_least_loaded_other_node_runs_it() -> None:
    node = Node()
    node.is_draining = True
    node.replica.start("e1", "n2")
    (result,) = await node.ask()
    assert result.state == "COMPLETED"
    assert node.others.asked == [("n3", True)]


async def test_while_a_worker_starts_another_node_runs_it_and_else_it_is_waited_for() -> None:
    node = Node()
    node.links.worker = None
    await node.ask()
    assert (node.wanted, node.others.asked) == (1, [("n2", True)])

    for name in ("n2", "n3"):
        node.others.script[name] = [Unavailable("none is ready"), Overloaded("full")]
    asked = asyncio.create_task(node.ask())
    await node.wants(3)
    node.links.worker = node.worker
    node.links.came.set()
    (result,) = await asked
    assert result.state == "COMPLETED"
    assert len(node.worker.ran) == 1


async def test_a_lost_try_is_repeated_elsewhere_under_the_same_id() -> None:
    node = Node(Worker(Unavailable("worker w1 ended before it replied")))
    node.others.script["n2"] = [OutcomeUnknown("the link broke")]
    (result,) = await node.ask()
    assert result.state == "COMPLETED"
    assert [name for name, _ in node.others.asked] == ["n2", "n3"]
    (record,) = await node.recorded()
    assert (record.tries, record.node, record.execution) == (3, "n3", node.worker.ran[0].execution)
    assert node.counts("retried") == {'molecule_volatile_retried_total{process="quotes"}': 2.0}


async def test_what_loses_everybody_is_given_up_with_the_limit_named() -> None:
    node = Node(Worker(Unavailable("w1 ended")))
    for name in ("n2", "n3"):
        node.others.script[name] = [w.VolatileSaid(lost="w1 ended", node=name)]
    (result,) = await node.ask()
    assert (result.state, result.error_code) == ("FAILED", "crash")
    assert "volatile_tries_max" in result.error
    assert len(node.others.asked) == 2


async def test_a_node_that_the_cluster_took_for_lost_is_not_waited_for() -> None:
    node = Node()
    node.is_draining = True
    node.others.stuck = "n2"
    asked = asyncio.create_task(node.ask())
    await node.others.reached.wait()
    node.expire("n2")
    (result,) = await asked
    assert result.state == "COMPLETED"
    assert [name for name, _ in node.others.asked] == ["n2", "n3"]


async def test_after_the_caller_was_answered_it_is_not_tried_again() -> None:
    node = Node(Worker(ANSWER, Unavailable("w1 ended")))
    (result,) = await node.ask("asked")
    assert (result.answer.status, result.state) == (202, "ASSIGNED")
    assert node.others.asked == []
    (record,) = await node.recorded()
    assert (record.state, record.error_code) == ("FAILED", "lost")


async def test_before_the_caller_was_answered_a_listener_is_tried_again() -> None:
    node = Node(Worker(Unavailable("w1 ended")))
    (result,) = await node.ask("asked")
    assert result.state == "COMPLETED"
    assert [name for name, _ in node.others.asked] == ["n2"]


async def test_rules_of_the_listener_refuse_before_anything_runs() -> None:
    node = Node(Worker(w.VolatileSaid(refused="the body does not fit the schema")))
    (result,) = await node.ask("asked")
    assert (result.refused_code, result.refused_http) == ("invalid_input", 400)
    assert await node.recorded() == []


async def test_beyond_the_bound_of_every_node_it_is_refused_with_429() -> None:
    node = Node(volatile_executions_max=1)
    node.worker.go_on.clear()
    for name in ("n2", "n3"):
        node.others.script[name] = [Overloaded("full")]
    asked = asyncio.create_task(node.ask(count=2))
    await node.worker.begun.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    node.worker.go_on.set()
    results = await asked
    assert sorted(result.state or result.refused_code for result in results) == [
        "COMPLETED",
        "overloaded",
    ]
    assert {result.refused_http for result in results} == {0, 429}


async def test_without_a_lease_nothing_runs_anywhere_and_the_caller_is_told() -> None:
    node = Node()
    node.lease_until_us = boottime_us() - 1
    (result,) = await node.ask()
    assert (result.refused_code, result.refused_http, result.volatile) == ("no_leader", 503, True)
    assert (node.worker.ran, node.others.asked) == ([], [])


async def test_who_does_not_wait_is_refused() -> None:
    with pytest.raises(InvalidInput, match="must wait"):
        await Node().ask(wait_ms=0)


@pytest.mark.parametrize("field", ["priority", "expires_in_ms", "expires_at_ms"])
async def test_what_has_no_effect_is_refused(field: str) -> None:
    given: dict[str, Any] = {field: 1}
    with pytest.raises(InvalidInput, match="no effect"):
        await Node().ask(**given)


async def test_a_paused_process_runs_nothing() -> None:
    node = Node()
    node.replica.say(
        pause_process=c.PauseProcess(environment="test", process="quotes", paused=True)
    )
    (result,) = await node.ask()
    assert (result.refused_code, result.refused_http, result.volatile) == ("unavailable", 503, True)
    assert node.worker.ran == []


async def test_the_caller_s_wait_is_the_deadline_and_its_end_is_told_as_that() -> None:
    late = w.VolatileSaid(state="FAILED", error_code="timeout", error="too long")
    node = Node(Worker(late))
    (result,) = await node.ask(wait_ms=50)
    assert (result.state, result.error_code) == ("FAILED", "deadline_exceeded")
    assert 0 < node.worker.ran[0].deadline_in_ms <= 50


async def test_a_worker_that_is_stuck_is_given_up_at_the_deadline() -> None:
    node = Node(volatile_grace_ms=0)
    node.worker.go_on.clear()
    (result,) = await node.ask(wait_ms=20)
    assert (result.state, result.error_code) == ("FAILED", "deadline_exceeded")
    assert node.host.running == 0


async def test_a_node_is_empty_when_the_last_one_ended() -> None:
    node = Node()
    node.worker.go_on.clear()
    asked = asyncio.create_task(node.ask())
    await node.worker.begun.wait()
    emptied = asyncio.create_task(node.host.emptied())
    await asyncio.sleep(0)
    assert not emptied.done()
    node.worker.go_on.set()
    await asked
    await emptied
