"""What callers of volatile processes are told: what came of it, and that nothing follows."""

import httpx2
import pytest

from molecule.model.errors import NoLeader, Overloaded
from molecule.wire.v1.door_pb2 import SubmitReply, SubmitRequest, SubmitResult
from tests.fakes.door import FakeDoor
from tests.unit.api.test_listening import a_listener

EXECUTIONS = "/api/v1/executions"


class VolatileDoor(FakeDoor):
    """Gives the same result to every submission."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.result = SubmitResult(execution="v1", state="COMPLETED", result=b"[]", volatile=True)
        self.resources["listeners"] = {"items": [a_listener()]}

    def refuse(self, error: NoLeader | Overloaded) -> None:
        self.result = SubmitResult(
            refused_code=error.code,
            refused_message=error.message,
            refused_http=error.http,
            refused_retryable=error.retryable,
            refused_definite=error.definite,
            volatile=True,
        )

    async def submit(self, request: SubmitRequest, *, timeout_s: float) -> SubmitReply:
        assert timeout_s > 0
        self.asked += 1
        return SubmitReply(results=[self.result for _ in request.submissions])


@pytest.fixture
def door() -> VolatileDoor:
    return VolatileDoor()


async def submit(http: httpx2.AsyncClient) -> httpx2.Response:
    return await http.post(f"{EXECUTIONS}?wait=5s", json={"process": "echo", "input": 1})


async def test_the_result_says_that_it_was_volatile_and_names_no_place_to_look(
    http: httpx2.AsyncClient,
) -> None:
    answer = await submit(http)
    assert (answer.status_code, answer.json()["durability"]) == (200, "volatile")
    assert "location" not in answer.headers


async def test_a_bound_is_told_at_once_with_a_time_to_come_back(
    http: httpx2.AsyncClient, door: VolatileDoor
) -> None:
    door.refuse(Overloaded("as many run as volatile_executions_max allows"))
    answer = await submit(http)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert door.asked == 1


async def test_without_a_majority_it_is_asked_again_and_then_refused_for_certain(
    http: httpx2.AsyncClient, door: VolatileDoor
) -> None:
    door.refuse(NoLeader("no lease"))
    answer = await submit(http)
    told = answer.json()
    assert (answer.status_code, told["code"], told["definite"]) == (503, "no_leader", True)
    assert answer.headers["retry-after"] == "1"
    assert door.asked > 1


async def test_the_caller_of_a_listener_whose_time_ran_out_gets_504(
    http: httpx2.AsyncClient, door: VolatileDoor
) -> None:
    door.result = SubmitResult(
        execution="v1", state="FAILED", error_code="deadline_exceeded", volatile=True
    )
    answer = await http.post("/in/dev/orders/7", json=1)
    assert (answer.status_code, answer.json()["code"]) == (504, "not_ended_in_time")
    assert answer.json()["definite"] is False
