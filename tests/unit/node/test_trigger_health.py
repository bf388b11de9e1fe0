"""How triggers fare: what a worker tells, what travels to the leader, what people are shown."""

from typing import Any

import pytest

from molecule.model.errors import NoLeader
from molecule.model.ids import NodeId
from molecule.node import trigger_health
from molecule.node.agent_rounds import AgentRounds
from molecule.node.trigger_health import TriggerHealths
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker.faring import Faring
from tests.fakes.triggers import untold
from tests.unit.node.test_agent_rounds import an_agent

FAILING = w.TriggerHealth(succeeded_at_ms=5, failures=3, failed_at_ms=9, error="no such folder")


def a_deployment(**fields: object) -> dict[str, Any]:
    known: dict[str, Any] = {
        "environment": "test",
        "process": "files",
        "has_trigger": True,
        "trigger_on": True,
        "listener": "",
        "trigger_node": "n2",
        "trigger_token": 4,
    }
    return known | fields


def heard(token: int = 4, health: w.TriggerHealth | None = FAILING) -> p.TriggersReply:
    held = p.Heartbeat.HeldTrigger(environment="test", process="files", token=token, health=health)
    return trigger_health.told({NodeId("n2"): [held]})


def test_a_failing_trigger_is_shown_with_its_last_error() -> None:
    assert trigger_health.shown(a_deployment(), heard()) == {
        "trigger_state": "failing",
        "trigger_failures": 3,
        "trigger_last_success_at_ms": 5,
        "trigger_last_error": "no such folder",
        "trigger_last_error_at_ms": 9,
    }


@pytest.mark.parametrize(
    ("fields", "answer", "state"),
    [
        ({"has_trigger": False, "trigger_on": False, "trigger_node": ""}, heard(), ""),
        ({"trigger_on": False, "trigger_node": ""}, heard(), "off"),
        ({"listener": "POST /in/test/x", "trigger_node": ""}, heard(), "listening"),
        ({"trigger_node": ""}, heard(), "waiting"),
        ({}, None, "unknown"),
        ({}, heard(health=None), "starting"),
        ({}, heard(token=3), "starting"),
        ({"trigger_node": "n1"}, heard(), "starting"),
        ({}, heard(health=w.TriggerHealth(succeeded_at_ms=5)), "running"),
    ],
)
def test_the_state_of_a_trigger(
    fields: dict[str, object], answer: p.TriggersReply | None, state: str
) -> None:
    told = trigger_health.shown(a_deployment(**fields), answer)
    assert (told["trigger_state"], told["trigger_failures"]) == (state, 0)


async def test_any_voter_asks_the_leader() -> None:
    asked: list[str] = []

    async def ask(leader: str) -> p.TriggersReply:
        asked.append(leader)
        return heard()

    healths = TriggerHealths(me="n1", here=p.TriggersReply, ask=ask)
    (told,) = await healths.add_to([a_deployment()], "n3")
    assert (told["trigger_state"], told["process"], asked) == ("failing", "files", ["n3"])
    (at_leader,) = await healths.add_to([a_deployment()], "n1")
    assert (at_leader["trigger_state"], asked) == ("starting", ["n3"])


@pytest.mark.parametrize("leader", ["n3", None])
async def test_without_a_leader_the_rest_is_shown(leader: str | None) -> None:
    (told,) = await untold().add_to([a_deployment()], leader)
    assert (told["trigger_state"], told["trigger_node"]) == ("unknown", "n2")


async def test_nobody_is_asked_when_no_trigger_runs() -> None:
    async def ask(_leader: str) -> p.TriggersReply:
        raise NoLeader("not to be asked")

    healths = TriggerHealths(me="n1", here=p.TriggersReply, ask=ask)
    (told,) = await healths.add_to([a_deployment(trigger_on=False, trigger_node="")], "n3")
    assert told["trigger_state"] == "off"


# ---- on its way from the worker to the leader


def an_agent_with_a_trigger() -> AgentRounds:
    agent = an_agent()
    run = w.RunTrigger(environment="test", process="files", token=4)
    agent.heard_leader(p.ToAgent(run_trigger=run), now_us=1)
    agent.worker_ready("w1", now_us=2)
    return agent


def tell(agent: AgentRounds, worker: str, health: w.TriggerHealth, token: int = 4) -> None:
    one = w.TriggerStatus(environment="test", process="files", token=token, health=health)
    agent.worker_status(worker, w.WorkerStatus(complete=True, triggers=[one]), now_us=3)


def beaten(agent: AgentRounds) -> p.Heartbeat.HeldTrigger:
    (one,) = agent.heartbeat(now_us=4, slots=1, wall_clock_ms=0).triggers
    return one


def test_a_heartbeat_tells_what_the_worker_told() -> None:
    agent = an_agent_with_a_trigger()
    assert not beaten(agent).HasField("health")
    tell(agent, "w1", FAILING)
    assert beaten(agent).health == FAILING


def test_a_word_of_an_earlier_assignment_or_of_another_worker_is_not_told() -> None:
    agent = an_agent_with_a_trigger()
    tell(agent, "w1", FAILING, token=3)
    tell(agent, "w9", FAILING)
    assert not beaten(agent).HasField("health")


def test_a_new_worker_does_not_forget_what_the_one_before_told() -> None:
    agent = an_agent_with_a_trigger()
    tell(agent, "w1", FAILING)
    agent.worker_died("w1", evidence="SIGKILL", charges=True, now_us=5)
    agent.worker_ready("w2", now_us=6)
    tell(agent, "w2", w.TriggerHealth())
    assert beaten(agent).health == w.TriggerHealth(
        succeeded_at_ms=5, failed_at_ms=9, error="no such folder"
    )


# ---- in the worker


def test_failures_in_a_row_are_counted_until_something_is_accepted() -> None:
    faring = Faring(error_length_max=7)
    for now_ms in (1, 2):
        faring.failed(OSError(), "no such folder", now_ms=now_ms)
        faring.begun_again()
    assert faring.told() == w.TriggerHealth(failures=2, failed_at_ms=2, error="no such")
    faring.worked(now_ms=3)
    assert faring.told() == w.TriggerHealth(succeeded_at_ms=3, failed_at_ms=2, error="no such")


def test_a_round_in_which_something_was_refused_is_no_success() -> None:
    faring = Faring(error_length_max=100)
    faring.failed(OSError(), "refused", now_ms=1)
    faring.round_over(now_ms=2)
    assert (faring.told().failures, faring.told().succeeded_at_ms) == (1, 0)
    faring.round_over(now_ms=3)
    assert (faring.told().failures, faring.told().succeeded_at_ms) == (0, 3)


def test_an_error_that_is_seen_twice_on_its_way_out_counts_once() -> None:
    faring, error = Faring(error_length_max=100), OSError()
    faring.failed(error, "refused", now_ms=1)
    faring.failed(error, "refused", now_ms=2)
    assert (faring.told().failures, faring.told().failed_at_ms) == (1, 1)
