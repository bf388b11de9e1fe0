"""Requests to listeners at the node's door: whose rules hold, who submits, under which key."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from molecule.model.errors import NotFound, Unauthenticated
from molecule.model.ids import ExecutionId
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import door_pb2 as d
from molecule.wire.v1 import worker_pb2 as w
from tests.adapters.node.doors import TOKEN, Doors
from tests.adapters.node.one_node import ENVIRONMENT, one_node


@pytest_asyncio.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    async with one_node(tmp_path) as node:
        yield Doors(node)


LEFT_S = 60.0
LISTENER = c.Listener(method="POST", path="/o/{id}", reply="accepted", auth="token")


async def listen(doors: Doors, **fields: object) -> None:
    listener = c.Listener()
    listener.CopyFrom(LISTENER)
    listener.MergeFrom(c.Listener(**fields))  # type: ignore[arg-type]  # its fields
    await doors.node.say(
        put_version=c.PutVersion(
            process="open",
            version="v1",
            options=c.VersionOptions(listener=listener),
            package=c.Payload(inline=b"package"),
        )
    )
    await doors.node.say(
        activate_version=c.ActivateVersion(
            environment=ENVIRONMENT, process="open", version="v1", trigger_on=True
        )
    )


def to_listener(path: str = "/o/{id}", *, bearer: str = "", content: str = "") -> d.SubmitRequest:
    return d.SubmitRequest(
        credentials=d.Credentials(bearer=bearer),
        environment=ENVIRONMENT,
        process="open",
        listener=f"POST {path}",
        submissions=[d.Submission(idempotency_key="k1", input=b"[1]", content=content)],
    )


async def test_gateway_learns_the_listeners_without_a_token(doors: Doors) -> None:
    await listen(doors)
    (found,) = (await doors.read("listeners", bearer=""))["items"]
    assert (found["process"], found["environment"], found["path"]) == (
        "open",
        ENVIRONMENT,
        "/o/{id}",
    )


async def test_listener_asks_for_a_token_unless_its_version_says_none(doors: Doors) -> None:
    await listen(doors)
    with pytest.raises(Unauthenticated):
        await doors.door.submit(to_listener(), LEFT_S)
    reply = await doors.door.submit(to_listener(bearer=TOKEN), LEFT_S)
    assert reply.results[0].execution


async def test_open_listener_submits_in_its_own_name_whatever_the_token(doors: Doors) -> None:
    await listen(doors, auth="none")
    reply = await doors.door.submit(to_listener(bearer="wrong"), LEFT_S)
    execution = doors.node.state.executions[ExecutionId(reply.results[0].execution)]
    assert execution.actor == f"trigger:{ENVIRONMENT}/open"


async def test_request_to_a_listener_that_is_not_the_active_one_is_refused(doors: Doors) -> None:
    await listen(doors, auth="none")
    with pytest.raises(NotFound):
        await doors.door.submit(to_listener("/old"), LEFT_S)


async def test_dedup_gives_the_key_of_the_process_and_the_caller_is_told(doors: Doors) -> None:
    await listen(doors, checked=True)
    for key in ("A 1", "42"):
        doors.node.replies = [w.WorkerReply(stamps=[w.DoorStamp(idempotency_key=key)])]
        reply = await doors.door.submit(to_listener(bearer=TOKEN), LEFT_S)
        (result,) = reply.results
        execution = doors.node.state.executions[ExecutionId(result.execution)]
        assert result.idempotency_key == execution.idempotency_key
    assert result.idempotency_key == f"{ENVIRONMENT}/open/42"


async def test_same_content_under_one_key_is_the_same_request(doors: Doors) -> None:
    await listen(doors)
    first = to_listener(bearer=TOKEN, content="digest")
    again = to_listener(bearer=TOKEN, content="digest")
    again.submissions[0].input = b"[2]"
    replies = [await doors.door.submit(asked, LEFT_S) for asked in (first, again)]
    assert replies[0].results[0].execution == replies[1].results[0].execution


async def test_caller_is_answered_before_the_end_once_the_answer_is_committed(
    doors: Doors,
) -> None:
    await listen(doors, reply="result")
    request = to_listener(bearer=TOKEN)
    await doors.door.submit(request, LEFT_S)
    (execution,) = doors.node.state.executions.values()
    request.wait_ms = 60_000
    waiting = asyncio.create_task(doors.door.submit(request, LEFT_S))
    await asyncio.sleep(0)
    answer = c.HttpAnswer(status=201, body=b"made")
    await doors.node.say(
        record_checkpoint=c.RecordCheckpoint(
            execution=execution.id,
            token=execution.token,
            sequence=1,
            position=c.Payload(inline=b"p"),
            answer=answer,
        )
    )
    (result,) = (await waiting).results
    assert (result.answer, result.state) == (answer, "ASSIGNED")
    (again,) = (await doors.door.submit(request, LEFT_S)).results
    assert (again.execution, again.answer) == (result.execution, answer)
