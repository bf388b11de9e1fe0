"""Submitting one execution and many, and what is refused before the node process hears of it."""

from collections import deque

import httpx2
import orjson
import pytest

from molecule.config import Limits
from molecule.model import payload
from molecule.model.errors import Draining, NoLeader, OutcomeUnknown, Overloaded, StorageFull
from molecule.model.keys import made_at_ms
from tests.fakes.door import FakeDoor
from tests.fakes.patience import VirtualTime

EXECUTIONS = "/api/v1/executions"
BATCH = "/api/v1/executions:batch"


async def test_submit_answers_the_execution_and_the_key_it_came_with(
    http: httpx2.AsyncClient,
) -> None:
    answer = await http.post(
        EXECUTIONS, json={"process": "echo", "input": {"a": 1}}, headers={"Idempotency-Key": "k1"}
    )

    assert answer.status_code == 202
    assert answer.json() == {
        "idempotency_key": "k1",
        "execution": "e1",
        "state": "ASSIGNED",
        "repeated_key": False,
    }
    assert answer.headers["idempotency-key"] == "k1"
    assert answer.headers["location"] == "/api/v1/executions/e1"


async def test_submit_makes_a_key_that_holds_its_time_when_the_caller_has_none(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    answer = await http.post(EXECUTIONS, json={"process": "echo"})

    key = answer.headers["idempotency-key"]
    assert made_at_ms(key) is not None
    assert [item.idempotency_key for item in door.calls[0].submissions] == [key]


async def test_submit_twice_with_one_key_gives_the_first_execution(
    http: httpx2.AsyncClient,
) -> None:
    body, headers = {"process": "echo", "input": 1}, {"Idempotency-Key": '"k1"'}
    first = await http.post(EXECUTIONS, json=body, headers=headers)
    second = await http.post(EXECUTIONS, json=body, headers=headers)

    assert second.json() == first.json() | {"repeated_key": True}


async def test_submit_of_another_body_with_the_same_key_is_a_conflict(
    http: httpx2.AsyncClient,
) -> None:
    headers = {"Idempotency-Key": "k1"}
    await http.post(EXECUTIONS, json={"process": "echo", "input": 1}, headers=headers)
    answer = await http.post(EXECUTIONS, json={"process": "echo", "input": 2}, headers=headers)

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:molecule:problem:key_conflict",
        "title": "key conflict",
        "status": 409,
        "detail": "key k1 was used with another body",
        "code": "key_conflict",
        "retryable": False,
        "definite": True,
        "request": answer.headers["molecule-request"],
        "idempotency_key": "k1",
    }


async def test_retry_is_a_submission_that_is_asked_again_by_its_key(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.lost_answers = 1
    door.troubles.append(OutcomeUnknown("the link broke"))
    headers = {"Idempotency-Key": "again"}
    answer = await http.post(f"{EXECUTIONS}/e7/retry", json={}, headers=headers)

    assert (answer.status_code, answer.json()["execution"]) == (202, "e1")
    assert [call.retry_of for call in door.calls] == ["e7", "e7"]
    assert {call.submissions[0].idempotency_key for call in door.calls} == {"again"}


async def test_submit_with_wait_answers_the_documents_of_the_result(
    http: httpx2.AsyncClient,
) -> None:
    answer = await http.post(
        f"{EXECUTIONS}?wait=30s", json={"process": "echo", "documents": [{"a": 1}, 2]}
    )

    assert answer.status_code == 200
    assert [document["value"] for document in answer.json()["documents"]] == [{"a": 1}, 2]


async def test_submit_sends_each_value_as_a_document_of_its_own(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    await http.post(EXECUTIONS, json={"process": "echo", "documents": [None, "x"]})

    documents = payload.decode_documents(door.calls[0].submissions[0].input)
    assert [(document.id, document.value) for document in documents] == [("0", None), ("1", "x")]


async def test_submit_of_an_unknown_process_says_which(http: httpx2.AsyncClient) -> None:
    answer = await http.post(EXECUTIONS, json={"process": "nowhere"})

    assert answer.status_code == 404
    assert answer.json()["detail"] == "no process nowhere is deployed"
    assert answer.json()["code"] == "not_found"


async def test_submit_without_a_token_is_unauthenticated(http: httpx2.AsyncClient) -> None:
    answer = await http.post(
        EXECUTIONS, json={"process": "echo"}, headers={"authorization": "Basic eDp5"}
    )

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="molecule"'
    assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize(
    ("key", "status"), [("a b", 400), ('""', 400), ("x" * 257, 413), ("x" * 256, 202)]
)
async def test_submit_checks_the_form_of_the_key(
    http: httpx2.AsyncClient, key: str, status: int
) -> None:
    answer = await http.post(EXECUTIONS, json={"process": "echo"}, headers={"Idempotency-Key": key})

    assert answer.status_code == status


async def test_batch_answers_each_submission_by_itself(http: httpx2.AsyncClient) -> None:
    await http.post(
        EXECUTIONS, json={"process": "echo", "input": 1}, headers={"Idempotency-Key": "taken"}
    )
    answer = await http.post(
        BATCH,
        json={
            "process": "echo",
            "submissions": [
                {"idempotency_key": "a", "input": 1},
                {"idempotency_key": "taken", "input": 2},
            ],
        },
    )

    assert answer.status_code == 207
    told = answer.json()
    assert (told["accepted"], told["refused"]) == (1, 1)
    assert told["results"][0] == {
        "idempotency_key": "a",
        "execution": "e2",
        "state": "ASSIGNED",
        "repeated_key": False,
    }
    assert told["results"][1]["problem"]["code"] == "key_conflict"


async def test_batch_with_one_key_names_its_submissions_after_it(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    body = {"process": "echo", "submissions": [{"input": 1}, {"input": 2}]}
    await http.post(BATCH, json=body, headers={"Idempotency-Key": "night"})
    answer = await http.post(BATCH, json=body, headers={"Idempotency-Key": "night"})

    assert [item.idempotency_key for item in door.calls[0].submissions] == ["night/0", "night/1"]
    assert [item["repeated_key"] for item in answer.json()["results"]] == [True, True]


async def test_batch_refuses_a_key_given_twice(http: httpx2.AsyncClient, door: FakeDoor) -> None:
    item = {"idempotency_key": "a"}
    answer = await http.post(BATCH, json={"process": "echo", "submissions": [item, item]})

    assert answer.status_code == 400
    assert answer.json()["detail"] == (
        "submissions.1: idempotency key a is given twice in this batch"
    )
    assert door.calls == []


async def test_batch_of_1001_is_refused_with_the_name_of_the_limit(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    answer = await http.post(BATCH, json={"process": "echo", "submissions": [{}] * 1001})

    assert answer.status_code == 413
    assert answer.json()["limit"] == "submissions_per_batch_max"
    assert answer.json()["allowed"] == 1000
    assert door.calls == []


async def test_batch_of_1000_is_accepted(http: httpx2.AsyncClient) -> None:
    answer = await http.post(BATCH, json={"process": "echo", "submissions": [{}] * 1000})

    assert answer.status_code == 200
    assert answer.json()["accepted"] == 1000


class TestLimits:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(
            submission_body_bytes_max=100, documents_per_submission_max=2, wait_ms_max=1_000
        )

    @pytest.mark.parametrize(
        ("path", "body", "limit"),
        [
            (EXECUTIONS, {"process": "echo", "input": "x" * 100}, "submission_body_bytes_max"),
            (
                EXECUTIONS,
                {"process": "echo", "documents": [1, 2, 3]},
                "documents_per_submission_max",
            ),
            (f"{EXECUTIONS}?wait=2s", {"process": "echo"}, "wait_ms_max"),
        ],
    )
    async def test_limit_that_is_passed_is_named(
        self, http: httpx2.AsyncClient, path: str, body: dict[str, object], limit: str
    ) -> None:
        answer = await http.post(path, json=body)

        assert answer.status_code == 413
        assert answer.json()["limit"] == limit


async def test_waiting_caller_is_held_while_the_node_process_is_away(
    http: httpx2.AsyncClient, door: FakeDoor, time: VirtualTime
) -> None:
    door.troubles.extend([NoLeader("no node leads")] * 20)
    answer = await http.post(f"{EXECUTIONS}?wait=30s", json={"process": "echo", "input": 1})

    assert answer.status_code == 200
    assert len(door.calls) == 21
    assert len({call.submissions[0].idempotency_key for call in door.calls}) == 1
    assert time.now_s == pytest.approx(2.0)
    assert door.calls[-1].wait_ms == 28_000


async def test_lost_answer_is_asked_for_again_and_nothing_runs_twice(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.lost_answers = 1
    door.troubles.append(NoLeader("the link broke"))
    answer = await http.post(EXECUTIONS, json={"process": "echo", "input": 1})

    assert answer.status_code == 202
    assert answer.json()["repeated_key"] is True
    assert len(door.keys) == 1


async def test_caller_is_told_the_key_when_its_deadline_comes_first(
    http: httpx2.AsyncClient, door: FakeDoor, time: VirtualTime
) -> None:
    door.down = NoLeader("no node leads")
    answer = await http.post(
        f"{EXECUTIONS}?wait=5s", json={"process": "echo"}, headers={"Idempotency-Key": "k1"}
    )

    assert answer.status_code == 504
    assert answer.headers["idempotency-key"] == "k1"
    assert answer.json() == {
        "type": "urn:molecule:problem:outcome_unknown",
        "title": "outcome unknown",
        "status": 504,
        "detail": "not answered in time; ask again with the same idempotency key (no node leads)",
        "code": "outcome_unknown",
        "retryable": True,
        "definite": False,
        "request": answer.headers["molecule-request"],
        "idempotency_key": "k1",
        "last_code": "no_leader",
        "last_reason": "no node leads",
    }
    assert time.now_s == pytest.approx(5.0)


async def test_caller_that_does_not_wait_is_held_for_an_election(
    http: httpx2.AsyncClient, door: FakeDoor, time: VirtualTime, limits: Limits
) -> None:
    door.down = NoLeader("no node leads")
    answer = await http.post(EXECUTIONS, json={"process": "echo"})

    assert answer.status_code == 504
    assert time.now_s == pytest.approx(limits.door_wait_for_leader_ms / 1000)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Overloaded("pending_executions_max is reached", retry_after_ms=2_500), 429),
        (Draining("n1 is being emptied"), 503),
        (StorageFull("the reserve is reached"), 507),
    ],
)
async def test_refusal_under_load_is_answered_at_once_with_a_time_to_come_back(
    http: httpx2.AsyncClient, door: FakeDoor, error: Overloaded, status: int
) -> None:
    door.down = error
    answer = await http.post(EXECUTIONS, json={"process": "echo"})

    assert answer.status_code == status
    assert answer.headers["retry-after"] == ("3" if status == 429 else "1")
    assert answer.json()["idempotency_key"] == answer.headers["idempotency-key"]
    assert len(door.calls) == 1


async def test_a_refusal_after_a_lost_answer_is_not_called_definite(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.troubles = deque([OutcomeUnknown("the node process went away"), Overloaded("full")])
    answer = await http.post(
        EXECUTIONS, json={"process": "echo"}, headers={"Idempotency-Key": "k1"}
    )

    told = answer.json()
    assert (told["code"], told["definite"]) == ("outcome_unknown", False)
    assert (told["idempotency_key"], told["last_code"]) == ("k1", "overloaded")


async def test_batch_asks_again_only_for_what_was_refused_for_now(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.refusals["b"] = deque([NoLeader("moving")])
    answer = await http.post(
        BATCH,
        json={
            "process": "echo",
            "submissions": [{"idempotency_key": "a"}, {"idempotency_key": "b"}],
        },
    )

    assert answer.json()["accepted"] == 2
    asked = [[item.idempotency_key for item in call.submissions] for call in door.calls]
    assert asked == [["a", "b"], ["b"]]


async def test_result_of_bytes_is_passed_on_with_its_mark(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    await http.post(EXECUTIONS, json={"process": "echo"}, headers={"Idempotency-Key": "k"})
    encoded = orjson.dumps(
        [{"id": "0", "value": {"$bytes": "AA=="}, "media_type": "x/y", "properties": {}}]
    )
    door.keys["k"] = (b"echo" + encoded, "e1")
    answer = await http.get(f"{EXECUTIONS}/e1/result?wait=1s")

    assert answer.json()["documents"] == orjson.loads(encoded)


@pytest.mark.parametrize(
    "body",
    [
        {"value": 1, "if": "equals"},
        {"value": 1, "equals": 1},
        {"if": "absent"},
        {"value": 1, "if": "no"},
    ],
)
async def test_a_row_with_half_a_condition_is_refused(
    http: httpx2.AsyncClient, body: dict[str, object]
) -> None:
    answer = await http.put("/api/v1/tables/dev/orders/1", json=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
