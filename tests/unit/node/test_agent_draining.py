"""An agent that is told to drain: what it asks of workers, and what it gives back by itself."""

from molecule.node.agent_rounds import AgentRounds
from molecule.node.holdings import AgentOutbox
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w
from tests.unit.node.test_agent_rounds import LEASE_US, a_run, an_agent, beat

S = 1_000_000


def told(
    agent: AgentRounds, now_us: int, *, draining: bool = True, left_ms: int = 10_000
) -> AgentOutbox:
    """The leader's answer to a heartbeat that was just sent."""
    reply = p.HeartbeatReply(
        number=beat(agent, now_us),
        epoch=1,
        incarnation=7,
        lease_ms=LEASE_US // 1000,
        draining=draining,
        drain_left_ms=left_ms,
    )
    return agent.heard_leader(p.ToAgent(heartbeat=reply), now_us=now_us)


def orders(out: AgentOutbox) -> list[tuple[str, bool]]:
    found = [message.hand_back for _, message in out.to_workers if message.HasField("hand_back")]
    return [(order.execution, order.at_once) for order in found]


def busy() -> AgentRounds:
    agent = an_agent()
    agent.heard_leader(a_run("e1", 5), now_us=1)
    agent.worker_ready("w1", now_us=2)
    return agent


def test_each_execution_is_asked_once_to_stop_where_it_can() -> None:
    agent = busy()
    assert orders(told(agent, 1 * S)) == [("e1", False)]
    assert orders(told(agent, 2 * S, left_ms=9_000)) == []


def test_when_the_time_is_over_it_is_asked_to_stop_at_once() -> None:
    agent = busy()
    told(agent, 1 * S, left_ms=500)
    assert orders(agent.round(now_us=2 * S)) == [("e1", True)]
    assert orders(agent.round(now_us=3 * S)) == []


def test_a_worker_that_gives_nothing_back_is_ended_and_its_work_is_not_charged() -> None:
    agent = busy()
    agent.worker_status("w1", running("e1", 5), now_us=3)
    told(agent, 1 * S, left_ms=0)
    agent.worker_status("w1", running("e1", 5), now_us=1 * S + LEASE_US)
    out = agent.round(now_us=1 * S + LEASE_US)
    assert out.kill_workers == ["w1"]
    died = agent.worker_died("w1", evidence="SIGKILL", charges=True, now_us=1 * S + LEASE_US + 1)
    (held,) = died.groups[0][0].report_worker_death.held
    assert held.running_step == ""


def running(execution: str, token: int) -> w.WorkerStatus:
    return w.WorkerStatus(
        running=[w.WorkerStatus.Running(execution=execution, token=token, step="store")]
    )


def test_what_never_began_here_is_given_back_as_it_came() -> None:
    agent = an_agent()
    told(agent, 1 * S)
    out = agent.heard_leader(a_run("e1", 5), now_us=2 * S)
    end = out.groups[0][0].end_attempt
    assert (end.execution, end.token, end.state, end.reason) == ("e1", 5, "PENDING", "drained")
    assert (out.to_workers, out.start_workers) == ([], [])


def test_what_was_given_back_is_not_run_when_it_is_delivered_again() -> None:
    agent = an_agent()
    told(agent, 1 * S)
    out = agent.heard_leader(a_run("e1", 5), now_us=2 * S)
    told(agent, 3 * S, draining=False)
    assert agent.heard_leader(a_run("e1", 5), now_us=4 * S).start_workers == []
    agent.told(out.groups[0][0])
    assert agent.heard_leader(a_run("e1", 6), now_us=5 * S).start_workers[0][0] == "w1"


def test_an_agent_is_empty_only_when_the_cluster_knows_it() -> None:
    agent = an_agent()
    told(agent, 1 * S)
    out = agent.heard_leader(a_run("e1", 5), now_us=2 * S)
    assert not agent.is_empty
    agent.told(out.groups[0][0])
    assert agent.is_empty


def test_a_node_that_is_undrained_asks_nothing_more_and_may_be_drained_again() -> None:
    agent = busy()
    told(agent, 1 * S)
    told(agent, 2 * S, draining=False)
    assert orders(agent.round(now_us=60 * S)) == []
    assert orders(told(agent, 61 * S)) == [("e1", False)]
