"""Effects that must happen once, in a cluster whose nodes die at the worst moments."""

from contextlib import ExitStack

import pytest

from tests.cluster.cluster import NODES, Cluster
from tests.cluster.placing import held_at

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEPS = 10


async def test_after_a_kill_behind_any_step_every_effect_was_seen_once(cluster: Cluster) -> None:
    follower = await cluster.follower()
    name = cluster.name("ten")
    names = [f"{name}.{step}" for step in range(1, STEPS + 1)]
    with ExitStack() as held:
        # The execution with number k stands before its step k.
        holds = [
            held.enter_context(cluster.recorder.hold(f"{name}.{step}-{step}"))
            for step in range(1, STEPS + 1)
        ]
        executions = [await cluster.accepted("ten", each, at=follower) for each in names]
        for hold in holds:
            await hold.reached()
        await cluster.kill(follower)
        for execution in executions:
            await cluster.leaves(execution, follower)
    await cluster.all_completed(executions, within_s=120)
    counts = cluster.recorder.counts(f"{name}.")
    assert counts == {f"{each}-{step}": 1 for each in names for step in range(1, STEPS + 1)}


async def test_an_effect_in_doubt_waits_for_a_person_and_is_not_repeated(cluster: Cluster) -> None:
    follower = await cluster.follower()
    prefix = cluster.name("blind")
    with cluster.recorder.hold(prefix, after_effect=True) as hold:
        execution, name = await held_at(cluster, follower, "blind", prefix, hold)
        await cluster.kill(follower)
        ended = await cluster.ended(execution, within_s=90)
    assert ended["state"] == "IN_DOUBT"
    (doubt,) = ended["doubts"]
    assert doubt["step"] == "tell"
    assert name in doubt["target"]
    answer = await cluster.post(
        f"/api/v1/executions/{execution}/resolve", {"all": "done", "reason": "the desk has it"}
    )
    assert answer.is_success, answer.text
    assert (await cluster.becomes(execution, is_terminal, what="ends"))["state"] == "COMPLETED"
    assert cluster.recorder.count(name) == 1


async def test_the_key_of_an_effect_is_the_same_on_every_attempt(cluster: Cluster) -> None:
    follower = await cluster.follower()
    prefix = cluster.name("key")
    with cluster.recorder.hold(prefix) as hold:
        execution, name = await held_at(cluster, follower, "once", prefix, hold)
        await cluster.kill_role(follower, "worker")
        await cluster.becomes(execution, lambda shown: shown["attempts"] > 1, what="is tried again")
    await cluster.all_completed([execution])
    keys = {key for told, key in cluster.recorder.effects if told == name}
    assert len(keys) == 1
    assert execution in keys.pop()


async def test_executions_with_one_key_run_in_the_order_of_acceptance(cluster: Cluster) -> None:
    name = cluster.name("order")
    executions = [
        await cluster.accepted(
            "keyed", f"{name}.{number}", at=NODES[number % len(NODES)], key="plane"
        )
        for number in range(9)
    ]
    await cluster.all_completed(executions)
    told = [each for each, _ in cluster.recorder.effects if each.startswith(f"{name}.")]
    assert told == [f"{name}.{number}" for number in range(9)]


async def test_a_cancelled_execution_stays_cancelled(cluster: Cluster) -> None:
    name = cluster.name("cancel")
    with cluster.recorder.hold(name) as hold:
        execution = await cluster.accepted("reads", name)
        await hold.reached()
        answer = await cluster.post(f"/api/v1/executions/{execution}/cancel", {"reason": "enough"})
        assert answer.is_success, answer.text
        assert (await cluster.ended(execution))["state"] == "CANCELLED"
    await cluster.kill(await cluster.leader())
    await cluster.leader()
    assert (await cluster.show(execution))["state"] == "CANCELLED"


def is_terminal(shown: dict[str, object]) -> bool:
    return shown["state"] in {"COMPLETED", "FAILED", "CANCELLED"}
