"""Registrations, deaths and verdicts: what is refused and what comes again."""

from molecule.cluster import views
from molecule.cluster.outcome import Applied, Rejected
from molecule.model.ids import NodeId
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import Replica, reason


def report(replica: Replica, node: str, life: str) -> object:
    return replica.say(report_node_death=wire.ReportNodeDeath(node=node, life=life))


def test_registration_without_a_name_or_life_is_refused() -> None:
    replica = Replica()
    assert replica.register("", life="1") == Rejected("invalid", {"field": "node"})
    assert replica.register("n1", life="") == Rejected("invalid", {"field": "life"})


def test_same_life_gets_the_same_answer() -> None:
    replica = Replica()
    assert replica.register("n1", life="1") == Applied(1, {"repeated": True})


def test_life_that_was_called_lost_comes_back_as_another_incarnation() -> None:
    replica = Replica()
    verdict = wire.ExpireNode(epoch=1, node="n1", incarnation=1)
    assert replica.say(expire_node=verdict) == Applied(1, {"moved": 0})
    assert replica.register("n1", life="1", slots=2) == Applied(3)
    # The same verdict, committed late, is about a life that is over.
    assert reason(replica.say(expire_node=verdict)) == "stale_incarnation"


def test_life_that_ended_never_comes_back() -> None:
    replica = Replica()
    assert report(replica, "n1", "1") == Applied(1, {"moved": 0})
    assert reason(replica.register("n1", life="1")) == "ended_life"
    replica.register("n1", life="2")
    assert reason(replica.register("n1", life="1")) == "ended_life"


def test_report_of_a_death_that_nobody_knows_is_refused() -> None:
    replica = Replica()
    assert report(replica, "n9", "1") == Rejected("unknown_node")
    assert report(replica, "n1", "other") == Rejected("unknown_life", {"incarnation": 1})


def test_report_after_the_verdict_changes_nothing_more() -> None:
    replica = Replica()
    replica.say(expire_node=wire.ExpireNode(epoch=1, node="n1", incarnation=1))
    assert report(replica, "n1", "1") == Applied(1, {"moved": 0})
    assert report(replica, "n1", "1") == Applied(1, {"repeated": True})
    assert views.node(replica.state, replica.state.nodes[NodeId("n1")])["lost_reason"] == (
        "lease_expired"
    )


def test_worker_death_is_told_with_its_evidence() -> None:
    replica = Replica()
    token = replica.start("e1")
    held = wire.ReportWorkerDeath.Held(execution="e1", token=token, running_step="store")
    result = replica.result(
        report_worker_death=wire.ReportWorkerDeath(
            node="n1", worker="w1", held=[held, held], evidence="signal 9"
        )
    )
    assert result.outcomes == (Applied(0, {"moved": 1}),)
    told = result.changes.timeline[0]
    assert (told.kind, told.facts["evidence"], told.facts["charged"]) == (
        "worker_died",
        "signal 9",
        True,
    )
    assert replica.execution("e1").is_alone


def test_worker_death_on_an_unknown_node_is_refused() -> None:
    word = wire.ReportWorkerDeath(node="n9")
    assert reason(Replica().say(report_worker_death=word)) == "unknown_node"


def test_status_counts_what_is_up() -> None:
    replica = Replica(nodes=3)
    report(replica, "n2", "1")
    status = views.status(replica.state)
    assert (status["nodes"], status["nodes_up"], status["leader"]) == (3, 2, "n1")
    assert [node["up"] for node in views.nodes(replica.state)] == [True, False, True]
