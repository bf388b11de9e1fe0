"""Wrong requests, processes and data: each gets a clear answer, and the rest goes on."""

import httpx2
import pytest

from molecule.config import Limits
from tests.cluster import processes
from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIMITS = Limits()


async def problem(answer: httpx2.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    told: dict[str, object] = answer.json()
    assert {"code", "retryable", "definite", "detail"} <= told.keys()
    return told


async def test_an_unknown_process_is_not_found(cluster: Cluster) -> None:
    answer = await cluster.submit("no-such", cluster.name("x"))
    assert "no-such" in str((await problem(answer, 404))["detail"])


async def test_a_body_that_is_not_json_is_refused_with_its_place(cluster: Cluster) -> None:
    async with cluster.local.client() as client:
        answer = await client.post(
            f"{cluster.place('n1').url}/api/v1/executions",
            content=b'{"process": "nothing",,}',
            headers={"content-type": "application/json"},
        )
    assert "line 1" in str((await problem(answer, 400))["detail"])


async def test_the_same_key_with_another_body_is_a_conflict(cluster: Cluster) -> None:
    name = cluster.name("conflict")
    await cluster.accepted("nothing", name)
    answer = await cluster.submit("nothing", name, colour="blue")
    assert (await problem(answer, 409))["code"] == "key_conflict"


async def test_the_same_key_with_the_same_body_gets_the_first_answer(cluster: Cluster) -> None:
    name = cluster.name("repeat")
    first = await cluster.accepted("nothing", name, at="n1")
    again = await cluster.submit("nothing", name, at="n2")
    assert (again.json()["execution"], again.json()["repeated_key"]) == (first, True)


async def test_a_body_over_the_limit_names_the_limit(cluster: Cluster) -> None:
    big = "x" * (LIMITS.submission_body_bytes_max + 1)
    answer = await cluster.submit("nothing", cluster.name("big"), text=big)
    told = await problem(answer, 413)
    assert told["limit"] == "submission_body_bytes_max"


async def test_a_batch_over_the_limit_names_the_limit(cluster: Cluster) -> None:
    items: list[object] = [{"input": {}}] * (LIMITS.submissions_per_batch_max + 1)
    answer = await cluster.post(
        "/api/v1/executions:batch", {"process": "nothing", "submissions": items}
    )
    assert (await problem(answer, 413))["limit"] == "submissions_per_batch_max"


async def test_a_batch_of_a_thousand_is_accepted_one_by_one(cluster: Cluster) -> None:
    name = cluster.name("batch")
    names = [f"{name}.{number}" for number in range(LIMITS.submissions_per_batch_max)]
    executions = await cluster.accepted_many("nothing", names)
    assert len(set(executions)) == len(names)
    await cluster.all_completed(executions[-5:])
    await cluster.conserved()


async def test_nobody_without_a_token_is_let_in(cluster: Cluster) -> None:
    async with cluster.local.client() as client:
        answer = await client.get(
            f"{cluster.place('n1').url}/api/v1/executions", headers={"authorization": ""}
        )
        wrong = await client.get(
            f"{cluster.place('n1').url}/api/v1/executions",
            headers={"authorization": "Bearer mol_wrong"},
        )
    assert (answer.status_code, wrong.status_code) == (401, 401)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("molecule: 1\nprocess: bad\ncolour: blue\nsteps: []\n", ["bad.yaml:3:", "colour"]),
        ("molecule: 1\nprocess: bad\nprocess: worse\n", ["bad.yaml:3:", "twice"]),
        ("a: &a [1]\nb: *a\n", ["bad.yaml:1:", "anchor"]),
        ("steps: " + "[" * 50_000, ["bad.yaml:1:", "deep"]),
        ("molecule: 1\nprocess: bad\ntrigger: {type: manual}\nsteps: 7\n", ["bad.yaml:4:"]),
        (
            "molecule: 1\nprocess: bad\ntrigger: {type: manual}\nsteps: [{id: a, type: fly}]\n",
            ["bad.yaml:4:", "fly"],
        ),
    ],
    ids=["unknown field", "duplicate key", "alias", "brackets", "wrong type", "unknown step"],
)
async def test_a_faulty_process_is_refused_with_its_places(
    cluster: Cluster, text: str, words: list[str]
) -> None:
    files = processes.repository(target=cluster.recorder.url, inbox=cluster.inbox)
    files["processes/bad.yaml"] = text
    answer = await cluster.post("/api/v1/apply", {"files": files}, environment="test")
    told = str(await problem(answer, 422))
    assert all(word in told for word in words), told
    listed = await cluster.get("/api/v1/processes", environment="test")
    assert "bad" not in {each["process"] for each in listed.json()["items"]}


async def test_all_faults_of_a_process_are_told_at_once(cluster: Cluster) -> None:
    text = "molecule: 1\nprocess: bad\ncolour: blue\nsteps: [{id: a, type: fly}, {type: log}]\n"
    files = processes.repository(target=cluster.recorder.url, inbox=cluster.inbox)
    files["processes/bad.yaml"] = text
    answer = await cluster.post("/api/v1/apply", {"files": files}, environment="test")
    assert len(answer.json()["findings"]) >= 3, answer.text


async def test_a_missing_value_where_a_number_is_needed_fails_as_data(cluster: Cluster) -> None:
    execution = await cluster.accepted("numbers", cluster.name("na"), delay="NA")
    ended = await cluster.ended(execution)
    assert ended["state"] == "FAILED"
    assert ended["error_code"] == "data"
    assert ended["step"] == "shape"
    fine = await cluster.accepted("numbers", cluster.name("fine"), delay="42")
    assert (await cluster.ended(fine))["state"] == "COMPLETED"


@pytest.mark.parametrize("process", ["endless", "hungry"])
async def test_an_expression_without_end_is_stopped(cluster: Cluster, process: str) -> None:
    execution = await cluster.accepted(process, cluster.name(process))
    other = await cluster.accepted("nothing", cluster.name("other"))
    await cluster.all_completed([other])
    ended = await cluster.ended(execution)
    assert (ended["state"], ended["error_code"]) == ("FAILED", "limit")
