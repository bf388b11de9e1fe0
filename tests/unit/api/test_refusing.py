"""Requests that are wrong: each is told what and where, and nothing inner leaves."""

import base64
import json

import httpx2
import pytest
from structlog.testing import capture_logs

from molecule.config import Limits
from molecule.model.errors import (
    Finding,
    Forbidden,
    InvalidProcess,
    LimitExceeded,
    MoleculeError,
    NoLeader,
    OutcomeUnknown,
    WrongState,
)
from tests.fakes.door import FakeDoor, an_execution

EXECUTIONS = "/api/v1/executions"


async def test_json_that_breaks_off_is_told_with_its_place(http: httpx2.AsyncClient) -> None:
    answer = await http.post(
        EXECUTIONS,
        content=b'{"process": "echo",\n "input": }',
        headers={"content-type": "application/json"},
    )

    assert answer.status_code == 400
    told = answer.json()
    assert (told["code"], told["line"], told["column"]) == ("invalid_json", 2, 11)
    assert told["detail"].startswith("the body is not JSON at line 2, column 11: ")


async def test_a_number_that_would_lose_digits_is_refused_with_its_place(
    http: httpx2.AsyncClient,
) -> None:
    body = b'{"process": "echo",\n "input": {"n": 18446744073709551616}}'
    answer = await http.post(EXECUTIONS, content=body, headers={"content-type": "application/json"})

    told = answer.json()
    assert (answer.status_code, told["code"]) == (400, "invalid_json")
    assert (told["line"], told["column"]) == (2, 17)
    assert "18446744073709551616 has more than 64 bits" in told["detail"]
    assert "send it as a text" in told["detail"]


async def test_50000_brackets_are_refused_like_any_bad_json(http: httpx2.AsyncClient) -> None:
    answer = await http.post(EXECUTIONS, content=b"[" * 50_000)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


async def test_empty_body_says_what_to_send(http: httpx2.AsyncClient) -> None:
    answer = await http.post(EXECUTIONS)

    assert answer.json()["detail"] == "the body is empty; send a JSON object"


async def test_body_of_another_type_is_refused(http: httpx2.AsyncClient) -> None:
    answer = await http.post(EXECUTIONS, content=b"a: 1", headers={"content-type": "text/yaml"})

    assert answer.status_code == 415
    assert answer.json()["detail"] == "send the body as application/json, not as text/yaml"


async def test_all_faults_of_a_body_are_told_at_once_and_unknown_fields_by_name(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    answer = await http.post(
        EXECUTIONS, json={"proces": "echo", "version": 3, "input": 1, "documents": []}
    )

    assert answer.status_code == 400
    told = answer.json()
    assert told["unknown_fields"] == ["proces"]
    assert told["faults"] == [
        {"field": "process", "what": "field required"},
        {"field": "version", "what": "input should be a valid string"},
        {"field": "proces", "what": "no such field"},
    ]
    assert door.calls == []


async def test_input_and_documents_together_are_refused(http: httpx2.AsyncClient) -> None:
    answer = await http.post(EXECUTIONS, json={"process": "e", "input": 1, "documents": []})

    assert answer.json()["detail"] == (
        "body: send either input (one document) or documents (many), not both"
    )


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("stat=FAILED", "no such query parameter: stat (known: process, state, environment, key, "),
        ("state=BROKEN", "state: no such state 'BROKEN' (known: PENDING, ASSIGNED, "),
        ("since=yesterday", "since must be like 2026-01-31T12:00:00Z (with a time zone) or "),
        ("since=2026-01-31T12:00:00", "since must be like 2026-01-31T12:00:00Z (with a time zone)"),
        ("limit=0", "limit must be a number from 1, not '0'"),
        ("fresh=yes", "fresh must be true or false, not 'yes'"),
        ("process=a&process=b", "process is given twice"),
        ("track.=1", "no such query parameter: track. "),
    ],
)
async def test_query_that_cannot_be_meant_is_refused(
    http: httpx2.AsyncClient, door: FakeDoor, query: str, detail: str
) -> None:
    answer = await http.get(f"{EXECUTIONS}?{query}")

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(detail)
    assert door.calls == []


async def test_page_over_the_limit_names_it(http: httpx2.AsyncClient) -> None:
    answer = await http.get(f"{EXECUTIONS}?limit=1001")

    assert (answer.status_code, answer.json()["limit"]) == (413, "page_size_max")


async def test_unknown_address_and_method_are_problems_too(http: httpx2.AsyncClient) -> None:
    nowhere = await http.get("/api/v1/flows")
    wrong = await http.delete("/api/v1/cluster")

    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert wrong.json()["detail"] == "DELETE is not possible at /api/v1/cluster; use GET"


async def test_fault_of_ours_is_logged_and_never_shown(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.resources["cluster"] = object()  # the fake cannot encode it: a TypeError within the route
    with capture_logs() as logs:
        answer = await http.get("/api/v1/cluster")

    name = answer.headers["molecule-request"]
    assert answer.status_code == 500
    assert answer.json()["detail"] == (
        f"the gateway failed; its log has the reason under request {name}"
    )
    assert answer.json()["definite"] is False
    assert [(entry["event"], entry["request"]) for entry in logs] == [("request_failed", name)]


async def test_findings_of_a_process_reach_the_caller_with_their_places(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    finding = Finding("processes/a.yaml", 3, 5, "steps[0].type", "unknown step mapp", "map?")
    door.down = InvalidProcess((finding,))
    answer = await http.post("/api/v1/apply?environment=dev", json={"files": {"a.yaml": "x"}})

    assert answer.status_code == 422
    assert answer.json()["findings"] == [
        {
            "file": "processes/a.yaml",
            "line": 3,
            "column": 5,
            "where": "steps[0].type",
            "what": "unknown step mapp",
            "hint": "map?",
        }
    ]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a//b", "a/./b", "a\\b", "", "a\nb"])
async def test_apply_refuses_paths_that_leave_the_repository(
    http: httpx2.AsyncClient, door: FakeDoor, path: str
) -> None:
    answer = await http.post("/api/v1/apply?environment=dev", json={"files": {path: "x"}})

    assert answer.status_code == 400
    assert door.calls == []


async def test_apply_needs_an_environment(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/api/v1/apply", json={"files": {"a": "x"}})

    assert answer.json()["detail"] == "name the environment: /api/v1/apply?environment=NAME"


async def test_apply_sends_text_and_base64_as_bytes(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.resources["apply/dev"] = {"environment": "dev", "processes": []}
    encoded = base64.b64encode(b"\xff\x00").decode()
    await http.post(
        "/api/v1/apply?environment=dev",
        json={"files": {"a.yaml": "ä", "tables/t.csv": {"base64": encoded}}},
    )

    assert dict(door.calls[0].files) == {"a.yaml": "ä".encode(), "tables/t.csv": b"\xff\x00"}


async def test_apply_refuses_what_is_not_base64_by_path(http: httpx2.AsyncClient) -> None:
    answer = await http.post(
        "/api/v1/apply?environment=dev", json={"files": {"a.csv": {"base64": "?"}}}
    )

    assert answer.status_code == 400
    assert answer.json()["field"] == "files.a.csv"


class TestPackageLimits:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(package_bytes_max=200, files_per_package_max=2)

    async def test_too_many_files_name_the_limit(self, http: httpx2.AsyncClient) -> None:
        answer = await http.post(
            "/api/v1/apply?environment=dev", json={"files": {"a": "", "b": "", "c": ""}}
        )

        assert (answer.status_code, answer.json()["limit"]) == (413, "files_per_package_max")

    async def test_too_large_a_package_names_the_limit(self, http: httpx2.AsyncClient) -> None:
        answer = await http.post("/api/v1/apply?environment=dev", json={"files": {"a": "x" * 200}})

        assert (answer.status_code, answer.json()["limit"]) == (413, "package_bytes_max")


async def test_cancel_is_not_repeated_when_its_outcome_is_unknown(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.troubles.append(OutcomeUnknown("the link broke"))
    answer = await http.post(f"{EXECUTIONS}/e1/cancel", json={"reason": "no longer needed"})

    assert (answer.status_code, answer.json()["definite"]) == (504, False)
    assert len(door.calls) == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_row_is_not_changed_again_when_its_outcome_is_unknown(
    http: httpx2.AsyncClient, door: FakeDoor, method: str
) -> None:
    # A second time it would take back what somebody wrote behind the first.
    door.troubles.append(OutcomeUnknown("the link broke"))
    body = {"json": {"value": 1}} if method == "PUT" else {}
    answer = await http.request(method, "/api/v1/tables/dev/orders/a", **body)  # type: ignore[arg-type]

    assert (answer.status_code, answer.json()["definite"]) == (504, False)
    assert len(door.calls) == 1


@pytest.mark.parametrize("action", ["release", "fail"])
async def test_second_chance_is_not_repeated_when_its_outcome_is_unknown(
    http: httpx2.AsyncClient, door: FakeDoor, action: str
) -> None:
    door.troubles.append(OutcomeUnknown("the link broke"))
    answer = await http.post(f"{EXECUTIONS}/e1/{action}", json={"reason": "looked at it"})

    assert (answer.status_code, answer.json()["definite"]) == (504, False)
    assert [call.action for call in door.calls] == [action]


async def test_a_signal_is_repeated_with_its_key_when_its_outcome_is_unknown(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.resources["signal/e1"] = {"execution": "e1", "signal": "go"}
    door.troubles.append(OutcomeUnknown("the link broke"))
    answer = await http.post(f"{EXECUTIONS}/e1/signals/go?correlation=a", json=[1])

    assert answer.status_code == 200
    first, second = (json.loads(call.json) for call in door.calls)
    assert first == second
    assert (first["value"], first["correlation"], first["name"]) == ([1], "a", "go")


async def test_a_refused_signal_names_its_key(http: httpx2.AsyncClient, door: FakeDoor) -> None:
    door.troubles.append(WrongState("execution e1 is COMPLETED: nobody waits"))
    answer = await http.post(f"{EXECUTIONS}/e1/signals/go", headers={"idempotency-key": "k1"})

    assert (answer.status_code, answer.json()["idempotency_key"]) == (409, "k1")


async def test_a_signal_that_is_no_json_or_too_large_is_refused(http: httpx2.AsyncClient) -> None:
    broken = await http.post(f"{EXECUTIONS}/e1/signals/go", content=b"{")
    large = await http.post(f"{EXECUTIONS}/e1/signals/go", json="x" * 1_100_000)

    assert (broken.status_code, broken.json()["code"]) == (400, "invalid_json")
    assert (large.status_code, large.json()["limit"]) == (413, "signal_body_bytes_max")


async def test_cancel_is_held_while_nobody_leads(http: httpx2.AsyncClient, door: FakeDoor) -> None:
    door.resources["cancel/e1"] = an_execution(state="CANCELLED")
    door.troubles.extend([NoLeader("electing")] * 3)
    answer = await http.post(f"{EXECUTIONS}/e1/cancel", json={})

    assert answer.json()["state"] == "CANCELLED"
    assert len(door.calls) == 4


@pytest.mark.parametrize(
    "body",
    [{}, {"all": "done", "answers": []}, {"all": "maybe"}, {"answers": [{"effect": "e"}]}],
)
async def test_resolve_refuses_answers_that_say_nothing_or_too_much(
    http: httpx2.AsyncClient, door: FakeDoor, body: dict[str, object]
) -> None:
    answer = await http.post(f"{EXECUTIONS}/e1/resolve", json=body)

    assert answer.status_code == 400
    assert door.calls == []


async def test_resolve_passes_the_answers_on(http: httpx2.AsyncClient, door: FakeDoor) -> None:
    door.resources["resolve/e1"] = an_execution(state="PENDING")
    body = {"answers": [{"effect": "e1/tell/0", "answer": "not_done"}], "reason": "asked them"}
    answer = await http.post(f"{EXECUTIONS}/e1/resolve", json=body)

    assert answer.status_code == 200
    assert httpx2.Response(200, content=door.calls[0].json).json() == body


async def test_a_limit_that_the_node_process_knows_is_named(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.down = LimitExceeded(limit="reason_length_max", allowed=1024, asked=1025)
    answer = await http.post(f"{EXECUTIONS}/e1/cancel", json={"reason": "x" * 1025})

    assert (answer.status_code, answer.json()["limit"]) == (413, "reason_length_max")


async def test_refusal_names_the_right_that_is_missing(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.down = Forbidden("the right cluster.read is missing")
    answer = await http.get("/api/v1/cluster")

    assert answer.status_code == 403
    assert answer.json()["detail"] == "the right cluster.read is missing"


class TestWithRoomForNone:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(http_requests_max=0)

    async def test_request_beyond_the_bound_is_refused_and_life_is_still_shown(
        self, http: httpx2.AsyncClient
    ) -> None:
        refused = await http.get("/api/v1/cluster")
        alive = await http.get("/livez")

        assert (refused.status_code, refused.json()["limit"]) == (429, "http_requests_max")
        assert refused.headers["retry-after"] == "1"
        assert alive.status_code == 200


def _families(root: type[MoleculeError]) -> list[type[MoleculeError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in _families(child))]


@pytest.mark.parametrize("kind", _families(MoleculeError), ids=lambda kind: kind.__name__)
async def test_every_error_of_the_tree_answers_as_the_tree_says(
    http: httpx2.AsyncClient, door: FakeDoor, kind: type[MoleculeError]
) -> None:
    error = kind.__new__(kind)
    MoleculeError.__init__(error, "what happened", fact=1)
    door.down = error
    answer = await http.post(f"{EXECUTIONS}/e1/cancel", json={})

    told = answer.json()
    assert answer.status_code == told["status"] == kind.http
    assert (told["code"], told["retryable"], told["definite"], told["fact"]) == (
        kind.code,
        kind.retryable,
        kind.definite,
        1,
    )
