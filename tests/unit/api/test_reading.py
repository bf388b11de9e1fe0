"""Reads, probes, metrics and the OpenAPI document."""

import re
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel

from molecule.api import shapes
from molecule.config import Limits
from molecule.model.errors import NoLeader, OutcomeUnknown
from tests.fakes.door import TOKEN, FakeDoor, an_execution

EXECUTIONS = "/api/v1/executions"


async def test_list_passes_filters_on_in_the_form_of_the_door(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.resources["executions"] = {"items": [], "next": None}
    await http.get(
        f"{EXECUTIONS}?process=echo&state=in_doubt&track.plane=N14228&limit=5"
        "&since=2026-01-31T12:00:00Z&until=1769860800001"
    )

    call = door.calls[0]
    assert call.resource == "executions"
    assert dict(call.query) == {
        "process": "echo",
        "state": "IN_DOUBT",
        "track.plane": "N14228",
        "limit": "5",
        "since": "1769860800000",
        "until": "1769860800001",
    }


async def test_read_tells_how_old_it_is_and_fresh_reads_are_asked_for_as_such(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.resources["execution/e1"] = an_execution()
    old = await http.get(f"{EXECUTIONS}/e1")
    fresh = await http.get(f"{EXECUTIONS}/e1?fresh=true")

    assert old.json() == an_execution()
    assert (old.headers["molecule-age-ms"], fresh.headers["molecule-age-ms"]) == ("12", "0")
    assert [call.fresh for call in door.calls] == [False, True]


async def test_read_is_repeated_while_the_node_process_restarts(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.resources["cluster"] = {"leader": "n1"}
    door.troubles.extend([NoLeader("electing"), OutcomeUnknown("the link broke")])
    answer = await http.get("/api/v1/cluster")

    assert answer.json() == {"leader": "n1"}


async def test_read_gives_the_last_reason_when_its_time_is_over(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.down = NoLeader("electing")
    answer = await http.get("/api/v1/cluster")

    assert (answer.status_code, answer.json()["code"]) == (503, "no_leader")
    assert answer.headers["retry-after"] == "1"


async def test_read_whose_answer_was_lost_is_a_definite_failure(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.down = OutcomeUnknown("the link broke")
    answer = await http.get("/api/v1/cluster")

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["definite"] is True


async def test_node_process_learns_who_asks_but_not_what_the_gateway_thinks_of_it(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    answer = await http.get("/api/v1/nodes")

    credentials = door.calls[0].credentials
    assert credentials.bearer == TOKEN
    assert credentials.request == answer.headers["molecule-request"]
    assert credentials.address.startswith("127.0.0.1:")


async def test_result_of_an_active_execution_is_202(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.ends = False
    await http.post(EXECUTIONS, json={"process": "echo"})
    answer = await http.get(f"{EXECUTIONS}/e1/result?wait=1s")

    assert answer.status_code == 202
    assert answer.json() == {"execution": "e1", "state": "ASSIGNED"}


async def test_result_of_an_unknown_execution_is_404(http: httpx2.AsyncClient) -> None:
    answer = await http.get(f"{EXECUTIONS}/e9/result")

    assert answer.status_code == 404


async def test_life_needs_nobody_else(http: httpx2.AsyncClient, door: FakeDoor) -> None:
    answer = await http.get("/livez", headers={"authorization": ""})

    assert (answer.status_code, answer.json()) == (200, {"alive": True})
    assert door.calls == []


async def test_readiness_says_why_not(http: httpx2.AsyncClient, door: FakeDoor) -> None:
    door.resources["health"] = {
        "ready": False,
        "started": True,
        "reasons": ["no node leads"],
        "node": "n1",
        "leader": "",
    }
    ready = await http.get("/readyz", headers={"authorization": ""})
    started = await http.get("/startupz", headers={"authorization": ""})

    assert (ready.status_code, ready.json()["reasons"]) == (503, ["no node leads"])
    assert started.status_code == 200


async def test_readiness_does_not_hold_the_prober(
    http: httpx2.AsyncClient, door: FakeDoor, limits: Limits
) -> None:
    door.down = NoLeader("the node process is away")
    answer = await http.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["reasons"] == [
        "the node process does not answer: the node process is away"
    ]
    assert door.timeouts_s == [limits.probe_ms_max / 1000]


async def test_metrics_join_the_node_process_and_the_gateway(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.resources["metrics"] = {"text": "molecule_raft_term 4"}
    await http.get("/api/v1/executions/e1")
    await http.get("/nothing/here")
    text = (await http.get("/metrics")).text

    assert text.startswith("molecule_raft_term 4\n# HELP molecule_http_requests_total")
    assert 'molecule_http_requests_total{code="404",door="executions",method="GET"} 1.0' in text
    assert 'molecule_http_requests_total{code="404",door="other",method="GET"} 1.0' in text
    assert "molecule_gateway_node_process_up 1.0" in text


async def test_metrics_without_the_node_process_say_so(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.down = NoLeader("away")
    answer = await http.get("/metrics")

    assert answer.status_code == 200
    assert "molecule_gateway_node_process_up 0.0" in answer.text


async def test_every_answer_keeps_browsers_from_guessing(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/nothing")

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


ADDRESSES = {
    "/api/v1/executions": {"get", "post"},
    "/api/v1/executions:batch": {"post"},
    "/api/v1/executions/{execution}": {"get"},
    "/api/v1/executions/{execution}/timeline": {"get"},
    "/api/v1/executions/{execution}/result": {"get"},
    "/api/v1/executions/{execution}/cancel": {"post"},
    "/api/v1/executions/{execution}/resolve": {"post"},
    "/api/v1/executions/{execution}/release": {"post"},
    "/api/v1/executions/{execution}/fail": {"post"},
    "/api/v1/executions/{execution}/retry": {"post"},
    "/api/v1/executions/{execution}/signals/{name}": {"post"},
    "/api/v1/processes": {"get", "post"},
    "/api/v1/processes/{process}": {"get"},
    "/api/v1/processes/{process}/pause": {"post"},
    "/api/v1/processes/{process}/resume": {"post"},
    "/api/v1/processes/{process}/settle-key": {"post"},
    "/api/v1/apply": {"post"},
    "/api/v1/nodes": {"get"},
    "/api/v1/nodes/{node}": {"get"},
    "/api/v1/nodes/{node}/drain-plan": {"get"},
    "/api/v1/nodes/{node}/drain": {"post"},
    "/api/v1/nodes/{node}/undrain": {"post"},
    "/api/v1/executions/{execution}/why": {"get"},
    "/api/v1/cluster/postmortems": {"get"},
    "/api/v1/cluster/postmortems/{postmortem}": {"get"},
    "/api/v1/cluster": {"get"},
    "/api/v1/retention": {"get"},
    "/api/v1/retention/purge": {"post"},
    "/api/v1/cluster/tokens": {"post"},
    "/api/v1/cluster/authority": {"get"},
    "/api/v1/cluster/join": {"post"},
    "/api/v1/cluster/leave/{node}": {"post"},
    "/api/v1/cluster/transfer": {"post"},
    "/api/v1/connections": {"get"},
    "/api/v1/connections/{environment}/{connection}": {"get"},
    "/api/v1/tables": {"get"},
    "/api/v1/tables/{environment}/{table}": {"get"},
    "/api/v1/tables/{environment}/{table}/{key}": {"get", "put", "delete"},
    "/api/v1/deadletters": {"get"},
    "/api/v1/deadletters/{dead_letter}": {"get"},
    "/livez": {"get"},
    "/readyz": {"get"},
    "/startupz": {"get"},
    "/metrics": {"get"},
}


async def _openapi(http: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await http.get("/api/openapi.json", headers={"authorization": ""})
    document: dict[str, Any] = answer.json()
    return document


async def test_openapi_document_names_every_address_and_method(http: httpx2.AsyncClient) -> None:
    document = await _openapi(http)

    assert document["openapi"].startswith("3.1")
    assert {path: set(methods) for path, methods in document["paths"].items()} == ADDRESSES


async def test_openapi_document_refers_only_to_what_it_holds(http: httpx2.AsyncClient) -> None:
    document = await _openapi(http)

    referred = set(re.findall(r"#/components/schemas/([A-Za-z0-9_-]+)", str(document)))
    assert referred <= set(document["components"]["schemas"])


async def test_openapi_document_tells_body_problem_and_summary_of_every_operation(
    http: httpx2.AsyncClient,
) -> None:
    document = await _openapi(http)

    ids = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], path
            ids.add(operation["operationId"])
            if path.startswith("/api/"):
                problem = operation["responses"]["default"]["content"]
                assert set(problem) == {"application/problem+json"}
            assert ("requestBody" in operation) is (method in {"post", "put"}), path
    assert len(ids) == sum(len(methods) for methods in ADDRESSES.values())


@pytest.mark.parametrize(("model", "shown"), [(shapes.Execution, an_execution())])
def test_shape_of_the_document_is_the_shape_of_the_fake(
    model: type[BaseModel], shown: dict[str, Any]
) -> None:
    assert model.model_validate(shown).model_dump(exclude_none=True, mode="json") == shown
