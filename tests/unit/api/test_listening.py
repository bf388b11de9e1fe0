"""Listeners at the gateway: routes, bodies, keys, answers, and what is refused."""

import hashlib
from typing import Any

import httpx2
import orjson
import pytest

from molecule.model import payload
from molecule.model.errors import NoLeader, NotFound
from molecule.wire.v1.commands_pb2 import HttpAnswer, HttpHeader
from molecule.wire.v1.door_pb2 import SubmitRequest
from tests.fakes.door import TOKEN, FakeDoor


def a_listener(**fields: Any) -> dict[str, Any]:
    shown = {
        "environment": "dev",
        "process": "echo",
        "method": "POST",
        "path": "/orders/{order}",
        "reply": "result",
        "auth": "token",
        "timeout_ms": 30_000,
        "body_bytes_max": 100,
        "checked": False,
    }
    return shown | fields


@pytest.fixture
def door() -> FakeDoor:
    made = FakeDoor()
    made.resources["listeners"] = {"items": [a_listener()]}
    return made


def submitted(door: FakeDoor) -> SubmitRequest:
    (asked,) = (call for call in door.calls if isinstance(call, SubmitRequest))
    return asked


async def test_caller_waits_for_the_documents_of_the_result(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    answer = await http.post("/in/dev/orders/7", json={"qty": 2})
    assert (answer.status_code, answer.json()) == (200, [{"qty": 2}])
    assert answer.headers["molecule-execution"] == "e1"
    assert submitted(door).wait_ms == 30_000


async def test_listener_that_only_accepts_answers_with_the_id(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.resources["listeners"] = {"items": [a_listener(reply="accepted")]}
    answer = await http.post("/in/dev/orders/7", json=1, headers={"idempotency-key": "k9"})
    assert answer.status_code == 202
    assert answer.json() == {"execution": "e1", "idempotency_key": "k9"}
    assert submitted(door).wait_ms == 0


async def test_document_carries_what_the_request_was_without_its_secrets(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    await http.post(
        "/in/dev/orders/a%20b?page=1&tag=x&tag=y",
        content=b"hi",
        headers={"content-type": "text/plain", "cookie": "secret", "x-own": "1"},
    )
    asked = submitted(door)
    (document,) = payload.decode_documents(asked.submissions[0].input)
    facts = document.properties["trigger"]
    assert document.value == "hi"
    assert (facts["name"], facts["method"]) == ("echo", "POST")
    assert (facts["path"], facts["query"]) == ({"order": "a b"}, {"page": "1", "tag": ["x", "y"]})
    assert facts["headers"]["x-own"] == "1"
    assert not {"authorization", "cookie"} & set(facts["headers"])
    assert TOKEN not in asked.submissions[0].input.decode()
    assert (asked.process, asked.environment) == ("echo", "dev")
    assert asked.listener == "POST /orders/{order}"


async def test_key_of_the_caller_names_the_request_whatever_its_other_headers_are(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    for trace in ("1", "2"):
        headers = {"idempotency-key": '"k1"', "traceparent": trace}
        await http.post("/in/dev/orders/7", json=1, headers=headers)
    first, second = (call for call in door.calls if isinstance(call, SubmitRequest))
    assert first.submissions[0].idempotency_key == second.submissions[0].idempotency_key == "k1"
    assert first.submissions[0].content == second.submissions[0].content
    assert len(first.submissions[0].content) == len(hashlib.sha256().hexdigest())


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        ("application/json; charset=utf-8", b'{"a": 1}', {"a": 1}),
        ("application/vnd.x+json", b"[1]", [1]),
        ("text/csv; charset=iso-8859-1", b"\xe9", "é"),
        ("application/x-www-form-urlencoded", b"a=1&b=2&b=3", {"a": "1", "b": ["2", "3"]}),
        ("application/pdf", b"%PDF", b"%PDF"),
    ],
)
async def test_body_becomes_a_value_by_its_type(
    http: httpx2.AsyncClient, door: FakeDoor, content_type: str, body: bytes, value: object
) -> None:
    await http.post("/in/dev/orders/7", content=body, headers={"content-type": content_type})
    (document,) = payload.decode_documents(submitted(door).submissions[0].input)
    assert document.value == value


@pytest.mark.parametrize(
    ("path", "headers", "body", "told"),
    [
        ("/in/dev/nothing", {}, b"", (404, "not_found")),
        ("/in/prod/orders/7", {}, b"", (404, "not_found")),
        ("/in/dev/orders/", {}, b"", (404, "not_found")),
        ("/in/dev/orders/..%2f..%2fetc", {}, b"", (400, "invalid_input")),
        ("/in/dev/orders/%2e%2e", {}, b"", (400, "invalid_input")),
        ("/in/dev/orders/%00", {}, b"", (400, "invalid_input")),
        ("/in/dev/orders/%ff", {}, b"", (400, "invalid_input")),
        ("/in/dev/orders/7", {}, b"x", (415, "unsupported_media_type")),
        ("/in/dev/orders/7", {"content-type": "json"}, b"1", (415, "unsupported_media_type")),
        (
            "/in/dev/orders/7",
            {"content-type": "multipart/form-data; boundary=x"},
            b"1",
            (415, "unsupported_media_type"),
        ),
        (
            "/in/dev/orders/7",
            {"content-type": "application/json", "content-encoding": "gzip"},
            b"1",
            (415, "unsupported_media_type"),
        ),
        ("/in/dev/orders/7", {"content-type": "application/json"}, b"{", (400, "invalid_json")),
        (
            "/in/dev/orders/7",
            {"content-type": "application/json"},
            b"-9223372036854775809",
            (400, "invalid_json"),
        ),
        (
            "/in/dev/orders/7",
            {"content-type": "application/json"},
            b"1" * 101,
            (413, "limit_exceeded"),
        ),
        (
            "/in/dev/orders/7",
            {"content-type": "application/json", "authorization": "Bearer wrong"},
            b"1",
            (401, "unauthenticated"),
        ),
    ],
)
async def test_bad_request_gets_a_problem_document(
    http: httpx2.AsyncClient,
    path: str,
    headers: dict[str, str],
    body: bytes,
    told: tuple[int, str],
) -> None:
    answer = await http.post(
        httpx2.URL("https://gateway.test" + path), content=body, headers=headers
    )
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == told


async def test_method_that_nobody_takes_is_told_with_those_that_are_taken(
    http: httpx2.AsyncClient,
) -> None:
    answer = await http.get("/in/dev/orders/7")
    assert (answer.status_code, answer.json()["allowed"]) == (405, "POST")


async def test_literal_path_wins_over_a_parameter(http: httpx2.AsyncClient, door: FakeDoor) -> None:
    door.processes = frozenset({"echo", "open"})
    door.resources["listeners"] = {
        "items": [a_listener(), a_listener(process="open", path="/orders/open")]
    }
    await http.post("/in/dev/orders/open", json=1)
    assert submitted(door).process == "open"


async def test_path_that_was_applied_a_moment_ago_is_found(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    await http.post("/in/dev/orders/7", json=1)
    door.resources["listeners"] = {"items": [a_listener(path="/new")]}
    assert (await http.post("/in/dev/new", json=1)).status_code == 200


async def test_listener_that_is_gone_is_not_found_and_asked_for_again(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    await http.post("/in/dev/orders/7", json=1)
    door.troubles.append(NotFound("nothing listens there"))
    answer = await http.post("/in/dev/orders/7", json=1)
    assert (answer.status_code, answer.json()["detail"]) == (404, "nothing listens at this path")
    asked = len(door.calls)
    await http.post("/in/dev/orders/7", json=1)
    assert getattr(door.calls[asked], "resource", "") == "listeners"


async def test_caller_of_a_cluster_without_leader_is_told_when_to_come_again(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    await http.post("/in/dev/orders/7", json=1)
    door.down = NoLeader("there is no leader")
    answer = await http.post("/in/dev/orders/7", json=1)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_answer_of_respond_is_sent_whatever_becomes_of_the_execution(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    headers = [HttpHeader(name="location", value="/o/7")]
    door.answer = HttpAnswer(status=201, headers=headers, body=b"made")
    door.ends = False
    answer = await http.post("/in/dev/orders/7", json=1)
    assert (answer.status_code, answer.content) == (201, b"made")
    assert answer.headers["location"] == "/o/7"
    assert answer.headers["molecule-execution"] == "e1"


async def test_execution_that_does_not_end_in_time_is_told_by_its_id(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.ends = False
    answer = await http.post("/in/dev/orders/7", json=1)
    assert (answer.status_code, answer.json()["code"]) == (504, "not_ended_in_time")
    assert answer.json()["execution"] == answer.headers["molecule-execution"] == "e1"


async def test_failed_execution_is_told_by_id_and_code_without_its_texts(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.fails = ("raised", "the password is 1234")
    answer = await http.post("/in/dev/orders/7", json=1)
    assert (answer.status_code, answer.json()["error_code"]) == (502, "raised")
    assert answer.json()["execution"] == "e1"
    assert b"1234" not in answer.content
    assert orjson.loads(answer.content)["code"] == "execution_failed"
