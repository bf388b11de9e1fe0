"""Draining and undraining: what is refused, and how long it lasts."""

from molecule.cluster import views
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.model.ids import NodeId
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import NOW_MS, Replica, reason

ANN = wire.Actor(kind="user", name="ann")


def drain(replica: Replica, node: str, *, life: str = "", timeout_ms: int = 5_000) -> Outcome:
    command = wire.DrainNode(node=node, life=life, timeout_ms=timeout_ms, actor=ANN)
    return replica.say(drain_node=command)


def undrain(replica: Replica, node: str) -> Outcome:
    return replica.say(undrain_node=wire.UndrainNode(node=node))


def shown(replica: Replica, node: str) -> dict[str, object]:
    return views.node(replica.state, replica.state.nodes[NodeId(node)])


def test_node_that_drains_gets_nothing_and_keeps_what_it_has() -> None:
    replica = Replica()
    replica.start("e1", "n1")
    assert drain(replica, "n1") == Applied(1)
    replica.submit("e2")
    assert reason(replica.assign("e2", "n1")) == "not_schedulable"
    told = shown(replica, "n1")
    assert (told["draining"], told["drained"], told["held"]) == (True, False, 1)
    assert (told["drain_actor"], told["drain_until_ms"]) == ("user:ann", NOW_MS + 5_000)


def test_node_is_drained_when_it_has_nothing_left() -> None:
    replica = Replica()
    token = replica.start("e1", "n1")
    drain(replica, "n1")
    replica.end("e1", token, "PENDING", reason="drained")
    assert shown(replica, "n1")["drained"] is True
    assert replica.execution("e1").reason == "drained"


def test_drain_said_again_changes_only_until_when() -> None:
    replica = Replica()
    drain(replica, "n1")
    replica.at_ms += 1_000
    assert drain(replica, "n1", timeout_ms=60_000) == Applied(0, {"repeated": True})
    told = shown(replica, "n1")
    assert (told["drain_at_ms"], told["drain_until_ms"]) == (NOW_MS, NOW_MS + 61_000)


def test_what_cannot_be_drained_is_refused() -> None:
    replica = Replica()
    assert drain(replica, "n9") == Rejected("unknown_node")
    assert reason(drain(replica, "n1", life="other")) == "unknown_life"
    replica.say(report_node_death=wire.ReportNodeDeath(node="n2", life="1"))
    assert reason(drain(replica, "n2")) == "node_lost"
    assert drain(replica, "n1") == Rejected("no_other_node")


def test_drain_of_a_life_ends_with_it_and_that_of_a_person_does_not() -> None:
    replica = Replica()
    drain(replica, "n1", life="1")
    replica.register("n1", life="2")
    assert shown(replica, "n1")["draining"] is False
    drain(replica, "n1")
    drain(replica, "n1", life="2")
    replica.register("n1", life="3")
    assert shown(replica, "n1")["draining"] is True
    undrain(replica, "n1")
    drain(replica, "n2", life="1")
    drain(replica, "n2")
    replica.register("n2", life="2")
    assert shown(replica, "n2")["draining"] is True, "a person asked while the life was ending"


def test_node_that_stops_cannot_be_undrained_until_it_is_back() -> None:
    replica = Replica()
    drain(replica, "n1", life="1")
    assert undrain(replica, "n1") == Rejected("node_stops")
    assert undrain(replica, "n9") == Rejected("unknown_node")
    assert undrain(replica, "n2") == Applied(0, {"repeated": True})


def test_the_triggers_of_a_node_that_drains_are_taken_at_once() -> None:
    replica = Replica()
    replica.deploy("files", trigger_on=True, has_trigger=True)
    replica.say(
        assign_trigger=wire.AssignTrigger(
            epoch=1, environment="test", process="files", node="n1", incarnation=1
        )
    )
    drain(replica, "n1")
    assert replica.state.triggers == {}
