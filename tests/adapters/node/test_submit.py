"""The door for executions: what it refuses, what it stamps, what it answers."""

from collections.abc import Sequence
from pathlib import Path
from types import NoneType

import pytest

from molecule.access.policy import ADMIN, ANONYMOUS, Actor, ActorKind
from molecule.cluster.outcome import Rejected
from molecule.config import Limits
from molecule.model.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    KeyConflict,
    LimitExceeded,
    MoleculeError,
    NotFound,
    OutcomeUnknown,
    Overlap,
    Overloaded,
    StaleToken,
    TooOld,
    Unauthenticated,
    Unavailable,
)
from molecule.model.execution import ExecutionState
from molecule.model.ids import ExecutionId
from molecule.node import submit
from molecule.node.proposer import GroupResult
from molecule.node.submit import Accepted, SubmitDoor, accepted
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import door_pb2 as d
from molecule.wire.v1 import worker_pb2 as w
from tests.adapters.node.one_node import ENVIRONMENT, WITHIN_S, OneNode, one_node


def a_door(node: OneNode, limits: Limits | None = None) -> SubmitDoor:
    return SubmitDoor(
        node="n1",
        state=lambda: node.state,
        forwarder=node.forwarder,
        payloads=node.payloads,
        ask_worker=node.ask_worker,
        limits=limits or node.limits,
    )


def a_request(*keys: str, process: str = "orders", content: bytes = b"[1]") -> d.SubmitRequest:
    return d.SubmitRequest(
        process=process,
        environment=ENVIRONMENT,
        submissions=[d.Submission(idempotency_key=key, input=content) for key in keys],
    )


async def submitted(
    node: OneNode, request: d.SubmitRequest, actor: Actor = ADMIN
) -> list[Accepted]:
    answers, _ = await a_door(node).submit(actor, request, within_s=WITHIN_S)
    return answers


async def test_submission_is_accepted_and_starts_at_once_on_an_idle_node(node: OneNode) -> None:
    (answer,) = await submitted(node, a_request("k1"))
    execution = node.state.executions[ExecutionId(answer.execution)]
    assert (execution.state, execution.node) == (ExecutionState.ASSIGNED, "n1")
    assert execution.actor == "token:admin"


async def test_hints_of_one_request_promise_no_more_than_the_free_slots(node: OneNode) -> None:
    answers = await submitted(node, a_request(*(f"k{number}" for number in range(6))))
    states = [node.state.executions[ExecutionId(answer.execution)].state for answer in answers]
    assert states == [ExecutionState.ASSIGNED] * 4 + [ExecutionState.PENDING] * 2


async def test_large_call_commits_in_order_in_several_entries(node: OneNode) -> None:
    door = a_door(node, node.limits.model_copy(update={"entry_commands_gathered_max": 2}))
    before = node.state.index
    request = a_request(*(f"k{number}" for number in range(5)))
    answers, index = await door.submit(ADMIN, request, within_s=WITHIN_S)
    assert index == node.state.index == before + 3
    assert [answer.execution for answer in answers] == list(node.state.executions)


async def test_later_part_of_a_large_call_that_fails_is_refused_alone(node: OneNode) -> None:
    door = a_door(node, node.limits.model_copy(update={"entry_commands_gathered_max": 2}))
    insist = node.forwarder.insist

    said: list[int] = []

    async def once(commands: Sequence[c.Command], *, within_s: float) -> GroupResult:
        said.append(len(commands))
        if len(said) > 1:
            raise OutcomeUnknown("nobody knows")
        return await insist(commands, within_s=within_s)

    node.forwarder.insist = once  # type: ignore[assignment]
    answers, _ = await door.submit(ADMIN, a_request("k1", "k2", "k3"), within_s=WITHIN_S)
    assert [type(answer.refusal) for answer in answers] == [NoneType, NoneType, OutcomeUnknown]
    assert said == [2, 1]


async def test_same_key_gets_the_first_execution_and_is_told_so(node: OneNode) -> None:
    (first,) = await submitted(node, a_request("k1"))
    (again,) = await submitted(node, a_request("k1"))
    assert again == Accepted(first.execution, repeated_key=True)


async def test_same_key_with_another_body_is_a_conflict(node: OneNode) -> None:
    await submitted(node, a_request("k1"))
    (other,) = await submitted(node, a_request("k1", content=b"[2]"))
    assert isinstance(other.refusal, KeyConflict)


async def test_large_input_goes_to_the_documents_and_only_its_name_into_the_log(
    node: OneNode,
) -> None:
    large = b"[" + b" " * node.limits.payload_inline_bytes_max + b"]"
    (answer,) = await submitted(node, a_request("k1", content=large))
    row = await node.store.payload(answer.execution, "input")
    assert row is not None
    assert (row.inline, row.size_bytes) == (None, len(large))
    assert await node.payloads.kept(row) == large


async def test_keys_of_a_process_are_stamped_by_a_worker(node: OneNode) -> None:
    await node.deploy("keyed", keyed=True)
    node.replies = [
        w.WorkerReply(stamps=[w.DoorStamp(concurrency_key="a", track={"flight": "UA1"})])
    ]
    (answer,) = await submitted(node, a_request("k1", process="keyed"))
    execution = node.state.executions[ExecutionId(answer.execution)]
    assert (execution.concurrency_key, execution.track) == ("a", (("flight", "UA1"),))
    assert [asked.door.inputs[0] for asked in node.asked] == [b"[1]"]


async def test_submission_without_its_key_is_refused_alone(node: OneNode) -> None:
    await node.deploy("keyed", keyed=True)
    node.replies = [
        w.WorkerReply(stamps=[w.DoorStamp(code="data", message="no id"), w.DoorStamp()])
    ]
    refused, taken = await submitted(node, a_request("k1", "k2", process="keyed"))
    assert isinstance(refused.refusal, InvalidInput)
    assert taken.execution in node.state.executions


async def test_nothing_is_proposed_when_every_submission_is_refused(node: OneNode) -> None:
    await node.deploy("keyed", keyed=True)
    node.replies = [w.WorkerReply(stamps=[w.DoorStamp(code="data", message="no id")])]
    index = node.state.index
    await submitted(node, a_request("k1", process="keyed"))
    assert node.state.index == index


@pytest.mark.parametrize(
    ("actor", "error"),
    [(ANONYMOUS, Unauthenticated), (Actor(ActorKind.TOKEN, "guest"), Forbidden)],
)
async def test_actor_without_the_right_is_refused_first(
    node: OneNode, actor: Actor, error: type[MoleculeError]
) -> None:
    with pytest.raises(error):
        await submitted(node, a_request(), actor)


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        ({"submissions_per_batch_max": 1}, "submissions_per_batch_max"),
        ({"idempotency_key_length_max": 1}, "idempotency_key_length_max"),
        ({"submission_body_bytes_max": 2}, "submission_body_bytes_max"),
    ],
)
async def test_request_over_a_limit_is_refused_with_its_name(
    node: OneNode, limits: dict[str, int], limit: str
) -> None:
    door = a_door(node, Limits(**limits))
    with pytest.raises(LimitExceeded) as refused:
        await door.submit(ADMIN, a_request("k1", "k2"), within_s=WITHIN_S)
    assert refused.value.facts["limit"] == limit


async def test_unknown_process_is_not_found_in_words_that_say_where(node: OneNode) -> None:
    with pytest.raises(
        NotFound, match=r"no process wishes is deployed in environment test.* trigger `called`"
    ):
        await submitted(node, a_request("k1", process="wishes"))


async def test_environment_may_be_left_out_while_there_is_only_one(node: OneNode) -> None:
    request = a_request("k1")
    request.environment = ""
    (answer,) = await submitted(node, request)
    assert node.state.executions[ExecutionId(answer.execution)].environment == ENVIRONMENT
    await node.say(put_environment=c.PutEnvironment(environment="prod", digest="2"))
    await node.say(
        activate_version=c.ActivateVersion(environment="prod", process="orders", version="v1")
    )
    with pytest.raises(Conflict, match="prod, test: name the environment"):
        await submitted(node, request)


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("key_conflict", KeyConflict),
        ("too_old", TooOld),
        ("overloaded", Overloaded),
        ("stale_token", StaleToken),
        ("unknown_process", NotFound),
        ("invalid", InvalidInput),
        ("something_new", Unavailable),
    ],
)
def test_refusal_of_the_state_becomes_an_error_of_the_tree(
    reason: str, error: type[MoleculeError]
) -> None:
    answer = accepted(c.SubmitExecution(execution="e1"), Rejected(reason))
    assert type(answer.refusal) is error


def test_execution_ids_sort_by_time_and_never_repeat() -> None:
    early, late = submit.new_execution_id(1_000), submit.new_execution_id(1_001)
    assert early < late
    assert len({submit.new_execution_id(1_000) for _ in range(100)}) == 100


async def test_what_overlaps_is_refused_with_the_name_of_the_running_one(node: OneNode) -> None:
    await node.deploy("poll", overlap="skip")
    (first,) = await submitted(node, a_request("k1", process="poll"))
    (second,) = await submitted(node, a_request("k2", process="poll"))
    assert isinstance(second.refusal, Overlap)
    assert first.execution in second.refusal.message


async def test_priority_of_a_submission_goes_before_that_of_its_process(node: OneNode) -> None:
    await node.deploy("urgent", priority=4)
    request = a_request("k1", "k2", process="urgent")
    request.submissions[0].priority = 7
    answers = await submitted(node, request)
    kept = [node.state.executions[ExecutionId(answer.execution)].priority for answer in answers]
    assert kept == [7, 4]


async def test_refusal_under_load_names_the_limit(tmp_path: Path) -> None:
    async with one_node(tmp_path, Limits(pending_per_process_max=1)) as node:
        await submitted(node, a_request("k1"))
        (refused,) = await submitted(node, a_request("k2"))
    assert isinstance(refused.refusal, Overloaded)
    assert "pending_per_process_max" in refused.refusal.message
