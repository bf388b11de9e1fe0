"""A leader's decisions: who gets a lease, what is delivered again, who must stop."""

import pytest

from molecule.config import Limits, Timing
from molecule.model.execution import ExecutionState
from molecule.model.ids import Epoch, ExecutionId, NodeId, Token
from molecule.node import leader_rounds
from molecule.node.leader_rounds import Answer, Delivery, LeaderRounds
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from tests.unit.cluster.builders import Replica
from tests.unit.node.beats import a_beat

N1 = NodeId("n1")
TIMING = Timing()
REPEAT_US = 2 * TIMING.heartbeat_ms * 1000


def a_leader() -> LeaderRounds:
    return LeaderRounds(Epoch(1), TIMING)


def hear(
    leader: LeaderRounds, replica: Replica, beat: p.Heartbeat | None = None, *, at_us: int = 0
) -> Answer:
    return leader.hear(replica.state, beat or a_beat(), node=N1, at_us=at_us, cluster_time_ms=1_234)


def delivery(execution: str, token: int) -> Delivery:
    return Delivery(ExecutionId(execution), Token(token))


def test_heartbeat_of_the_registered_life_is_answered_with_its_incarnation() -> None:
    replica = Replica()
    (said,) = hear(a_leader(), replica, a_beat(7)).messages
    assert said.heartbeat == p.HeartbeatReply(
        number=7,
        epoch=1,
        incarnation=replica.state.nodes[N1].incarnation,
        cluster_time_ms=1_234,
        lease_ms=TIMING.lease_ms,
    )


def test_heartbeat_of_an_unknown_life_gets_no_incarnation_and_keeps_nobody_alive() -> None:
    replica, leader = Replica(), a_leader()
    replica.start("e1")
    answer = hear(leader, replica, a_beat(life="stranger"))
    assert [said.heartbeat.incarnation for said in answer.messages] == [0]
    assert answer.deliver == []
    assert leader.liveness.heard == {}


def test_what_a_node_tells_of_its_triggers_is_kept_until_it_tells_otherwise() -> None:
    replica, leader = Replica(), a_leader()
    beat = a_beat()
    beat.triggers.add(environment="test", process="files", token=4, health={"failures": 2})
    hear(leader, replica, beat)
    assert [one.health.failures for one in leader.triggers[N1]] == [2]
    hear(leader, replica, a_beat(2))
    assert list(leader.triggers[N1]) == []


def test_heartbeat_of_a_replaced_life_learns_that_it_is_superseded() -> None:
    replica = Replica()
    replica.register("n1", life="2")
    (said,) = hear(a_leader(), replica, a_beat(life="1")).messages
    assert (said.heartbeat.superseded, said.heartbeat.incarnation) == (True, 0)


def test_heartbeat_counts_for_liveness_from_its_arrival() -> None:
    replica, leader = Replica(), a_leader()
    hear(leader, replica, at_us=5_000_000)
    assert leader.liveness.silent_ms(N1, now_ms=5_400) == 400


def test_assignment_that_a_heartbeat_does_not_name_is_delivered() -> None:
    replica = Replica()
    token = replica.start("e1")
    assert hear(a_leader(), replica).deliver == [delivery("e1", token)]
    assert hear(a_leader(), replica, a_beat(held={"e1": token})).deliver == []


def test_delivery_is_repeated_only_once_it_cannot_be_on_its_way() -> None:
    replica, leader = Replica(), a_leader()
    sent = delivery("e1", replica.start("e1"))
    leader.delivered(N1, sent, now_us=1_000)
    assert hear(leader, replica, at_us=1_000 + REPEAT_US).deliver == []
    assert hear(leader, replica, at_us=1_001 + REPEAT_US).deliver == [sent]


def test_new_session_makes_every_delivery_due_again() -> None:
    replica, leader = Replica(), a_leader()
    sent = delivery("e1", replica.start("e1"))
    leader.delivered(N1, sent, now_us=0)
    leader.session_opened(N1)
    assert hear(leader, replica).deliver == [sent]


def test_heartbeat_that_names_what_is_not_assigned_brings_a_stop() -> None:
    replica = Replica()
    _, stop = hear(a_leader(), replica, a_beat(held={"e9": 4})).messages
    assert (stop.stop.execution, stop.stop.token) == ("e9", 4)


def test_heartbeat_that_names_what_waits_now_brings_a_stop_although_its_token_is_the_newest() -> (
    None
):
    replica = Replica()
    token = replica.start("e1")
    replica.end("e1", token, "WAITING", until_released=True)
    assert replica.execution("e1").token == token
    _, stop = hear(a_leader(), replica, a_beat(held={"e1": token})).messages
    assert (stop.stop.execution, stop.stop.token) == ("e1", token)


def test_new_assignment_is_delivered_and_asks_for_a_plan() -> None:
    replica = Replica()
    replica.submit("e1")
    node = replica.state.nodes[N1]
    result = replica.result(
        assign_execution=c.AssignExecution(
            epoch=1, execution="e1", node="n1", incarnation=node.incarnation
        )
    )
    told = a_leader().applied(replica.state, result.changes)
    assert told.plan_now
    assert told.deliver == [delivery("e1", replica.execution("e1").token)]


@pytest.mark.parametrize(("target", "stops"), [("cancelled", 1), ("completed", 0)])
def test_holder_is_stopped_when_its_work_is_taken_not_when_it_ended_it(
    target: str, stops: int
) -> None:
    replica, leader = Replica(), a_leader()
    token = replica.start("e1")
    leader.delivered(N1, delivery("e1", token), now_us=0)
    if target == "cancelled":
        result = replica.result(
            cancel_execution=c.CancelExecution(execution="e1", actor=c.Actor(name="admin"))
        )
    else:
        result = replica.end("e1", token)
    told = leader.applied(replica.state, result.changes)
    assert [(node, said.stop.token) for node, said in told.stops] == [(N1, token)] * stops


def test_holder_that_was_never_told_of_its_work_is_not_stopped() -> None:
    replica, leader = Replica(), a_leader()
    replica.start("e1")
    result = replica.result(cancel_execution=c.CancelExecution(execution="e1"))
    assert leader.applied(replica.state, result.changes).stops == []


def test_delivery_of_a_superseded_token_is_not_deliverable() -> None:
    replica = Replica()
    token = replica.start("e1")
    found = leader_rounds.deliverable(replica.state, delivery("e1", token))
    assert found is replica.execution("e1")
    assert found.state is ExecutionState.ASSIGNED
    assert leader_rounds.deliverable(replica.state, delivery("e1", token + 1)) is None
    replica.end("e1", token)
    assert leader_rounds.deliverable(replica.state, delivery("e1", token)) is None


def test_claim_carries_every_bound_that_the_state_needs() -> None:
    carried = leader_rounds.bounds(TIMING, Limits())
    assert {field.name for field, _ in carried.ListFields()} == set(
        c.Bounds.DESCRIPTOR.fields_by_name
    )
