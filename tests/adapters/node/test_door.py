"""The gateway's door on a real state: to callers there is one cluster, whichever node answers."""

import orjson
import pytest

from molecule.model.errors import (
    Conflict,
    LimitExceeded,
    NotFound,
    OutcomeUnknown,
    Unauthenticated,
)
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import door_pb2 as d
from tests.adapters.node.doors import ADMIN, Call, Doors
from tests.adapters.node.one_node import ENVIRONMENT


async def test_what_another_node_accepted_a_moment_ago_is_found(doors: Doors) -> None:
    doors.behind.append("e1")
    assert (await doors.read("execution", "e1"))["state"] == "PENDING"


async def test_what_nobody_accepted_is_not_found_behind_everything_committed(doors: Doors) -> None:
    with pytest.raises(NotFound, match="e9"):
        await doors.read("execution", "e9")
    assert doors.caught_up == 1


async def test_what_is_here_is_read_without_asking_the_leader(doors: Doors) -> None:
    await doors.node.submit("e1")
    await doors.read("execution", "e1")
    assert doors.caught_up == 0


async def test_reading_needs_the_token_and_health_does_not(doors: Doors) -> None:
    assert (await doors.read("health", bearer=""))["ready"] is True
    for bearer in ("", "wrong"):
        with pytest.raises(Unauthenticated):
            await doors.read("cluster", bearer=bearer)


async def test_waiting_gives_the_result_of_an_execution_that_has_ended(doors: Doors) -> None:
    token = await doors.node.start("e1")
    await doors.node.say(
        end_attempt=c.EndAttempt(
            execution="e1", token=token, state="COMPLETED", result=c.Payload(inline=b'["done"]')
        )
    )
    asked = d.AwaitRequest(credentials=ADMIN, executions=["e1"], wait_ms=1000)
    (result,) = (await doors.door.Await(asked, Call())).results
    assert (result.state, result.result) == ("COMPLETED", b'["done"]')


async def test_cancelling_answers_with_the_execution_as_it_is_now(doors: Doors) -> None:
    await doors.node.submit("e1")
    asked = d.ActRequest(
        credentials=ADMIN, action="cancel", id="e1", json=b'{"reason": "not needed"}'
    )
    answer = orjson.loads((await doors.door.Act(asked, Call())).json)
    assert answer["state"] == "CANCELLED"


async def test_draining_a_node_tells_what_it_still_holds(doors: Doors) -> None:
    await doors.node.say(register_node=c.RegisterNode(node="n2", life="1", slots=4))
    await doors.node.start("e1")
    told = await doors.act("drain", "n1", timeout_ms=5_000)
    assert (told["draining"], told["drained"], told["held"]) == (True, False, 1)
    assert told["drain_actor"] == "token:admin"
    told = await doors.act("undrain", "n1")
    assert (told["draining"], told["drain_actor"]) == (False, "")


async def test_drain_without_another_node_is_refused_and_the_plan_says_so(doors: Doors) -> None:
    with pytest.raises(Conflict, match="no other node takes work"):
        await doors.act("drain", "n1")
    plan = await doors.act("plan_drain", "n1")
    assert plan["refused"]
    assert "no other node takes work" in plan["refusals"][0]


async def test_plan_of_a_drain_changes_nothing(doors: Doors) -> None:
    await doors.node.say(register_node=c.RegisterNode(node="n2", life="1", slots=4))
    await doors.node.start("e1")
    plan = await doors.act("plan_drain", "n1")
    assert (plan["moves"], plan["refused"], plan["draining"]) == ({"n2": 1}, False, False)
    assert (await doors.read("node", "n1"))["draining"] is False


@pytest.mark.parametrize("action", ["drain", "undrain", "plan_drain"])
async def test_a_node_that_nobody_knows_is_not_drained(doors: Doors, action: str) -> None:
    with pytest.raises(NotFound, match="n9"):
        await doors.act(action, "n9")


async def test_a_lost_node_is_not_drained(doors: Doors) -> None:
    await doors.node.say(register_node=c.RegisterNode(node="n2", life="1", slots=4))
    await doors.node.say(report_node_death=c.ReportNodeDeath(node="n2", life="1"))
    with pytest.raises(Conflict, match="is lost"):
        await doors.act("drain", "n2")


def acts(action: str, process: str, **fields: str) -> d.ActRequest:
    return d.ActRequest(credentials=ADMIN, action=action, id=process, json=orjson.dumps(fields))


async def test_pausing_and_resuming_answer_with_the_process_as_it_is_now(doors: Doors) -> None:
    paused = await doors.door.Act(acts("pause", "orders", reason="a fault there"), Call())
    (told,) = orjson.loads(paused.json)["deployments"]
    assert (told["paused"], told["pause_reason"]) == (True, "a fault there")

    resumed = await doors.door.Act(acts("resume", "orders"), Call())
    assert orjson.loads(resumed.json)["deployments"][0]["paused"] is False


async def test_what_only_waits_is_told_without_an_error(doors: Doors) -> None:
    await doors.door.Act(acts("pause", "orders", reason="a fault there"), Call())
    request = d.SubmitRequest(
        credentials=ADMIN,
        process="orders",
        environment=ENVIRONMENT,
        submissions=[d.Submission(idempotency_key="k1", input=b"[1]")],
    )
    (told,) = (await doors.door.submit(request, 60.0)).results
    assert (told.state, told.error, told.error_code) == ("PENDING", "", "")


@pytest.mark.parametrize(
    ("action", "name"),
    [("cancel", "e1"), ("release", "e1"), ("fail", "e1"), ("resolve", "e1"), ("pause", "orders")],
)
async def test_every_action_refuses_a_reason_over_the_limit(
    doors: Doors, action: str, name: str
) -> None:
    await doors.node.submit("e1")
    index = doors.node.state.index
    with pytest.raises(LimitExceeded) as refused:
        await doors.act(action, name, reason="x" * (doors.node.limits.reason_length_max + 1))
    assert refused.value.facts["limit"] == "reason_length_max"
    assert doors.node.state.index == index


async def test_a_row_that_was_written_and_cannot_be_shown_is_not_refused(doors: Doors) -> None:
    doors.cut_off = True
    with pytest.raises(OutcomeUnknown, match="done, but"):
        await doors.act("table_put", f"{ENVIRONMENT}/prices/a", value=1)
    (table,) = doors.node.state.key_tables.values()
    assert list(table.rows) == ["a"]


async def test_pausing_what_is_not_deployed_names_it(doors: Doors) -> None:
    with pytest.raises(NotFound, match="nothing"):
        await doors.door.Act(acts("pause", "nothing"), Call())


async def test_a_key_is_settled_once_and_only_when_it_is_held(doors: Doors) -> None:
    await doors.node.deploy("ledger", keyed=True, on_dead_letter="hold_key")
    token = await doors.node.start("e1", process="ledger", concurrency_key="N14228")
    await doors.node.say(
        end_attempt=c.EndAttempt(
            execution="e1",
            token=token,
            state="COMPLETED",
            dead_letters=[c.DeadLetter(document="d")],
        )
    )
    told = await doors.read("process", "ledger")
    assert [held["concurrency_key"] for held in told["held_keys"]] == ["N14228"]

    settled = await doors.door.Act(acts("settle_key", "ledger", concurrency_key="N14228"), Call())
    assert orjson.loads(settled.json)["held_keys"] == []
    with pytest.raises(NotFound, match="held for dead letters"):
        await doors.door.Act(acts("settle_key", "ledger", concurrency_key="N14228"), Call())
