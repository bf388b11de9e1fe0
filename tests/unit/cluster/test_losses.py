"""Post-mortems: bounded, and the leader's loss knows how long nobody led."""

from molecule.cluster import losses, views
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import Replica


def lose(replica: Replica, node: str, *, life: str = "1") -> None:
    replica.say(report_node_death=wire.ReportNodeDeath(node=node, life=life, evidence="exit -9"))


def test_only_the_newest_losses_are_remembered() -> None:
    replica = Replica()
    for life in range(1, losses.LOSSES_MAX + 6):
        lose(replica, "n2", life=str(life))
        replica.register("n2", life=str(life + 1), slots=4)
    ids = [view["id"] for view in views.postmortems(replica.state)]
    assert len(ids) == losses.LOSSES_MAX
    assert ids[0].partition(".")[2] > ids[-1].partition(".")[2] or len(ids[0]) > len(ids[-1])


def test_a_leaders_loss_tells_how_long_nobody_led() -> None:
    replica = Replica()
    claim = wire.ClaimLeadership(node="n2", leaderless_ms=640)
    replica.say(claim_leadership=claim)
    lose(replica, "n1")
    (view,) = views.postmortems(replica.state)
    assert (view["led"], view["without_leader_ms"]) == (True, 640)


def test_the_loss_of_a_node_that_led_long_ago_is_no_leaders_loss() -> None:
    replica = Replica()
    replica.say(claim_leadership=wire.ClaimLeadership(node="n2", leaderless_ms=640))
    replica.at_ms += 60_000
    lose(replica, "n1")
    (view,) = views.postmortems(replica.state)
    assert (view["led"], view["without_leader_ms"]) == (False, 0)


def test_the_evidence_of_a_reported_death_is_kept() -> None:
    replica = Replica()
    replica.start("e1", "n2")
    lose(replica, "n2")
    (view,) = views.postmortems(replica.state)
    assert (view["reason"], view["evidence"], view["moved"]) == ("node_dead", "exit -9", 1)


def test_the_loss_that_is_forgotten_is_the_same_on_a_replica_that_was_restored() -> None:
    replica = Replica(nodes=3)
    both = [wire.ReportNodeDeath(node=node, life="1") for node in ("n3", "n2")]
    replica.commit(*(wire.Command(version=1, report_node_death=death) for death in both))
    for life in range(1, losses.LOSSES_MAX - 1):
        lose(replica, "n1", life=str(life))
        replica.register("n1", life=str(life + 1), slots=4)
    twin = Replica()
    twin.machine = type(replica.machine).restore(
        replica.machine.rows(), index=replica.machine.index, term=1, rolling_hash=b""
    )
    for one in (replica, twin):
        lose(one, "n1", life=str(losses.LOSSES_MAX - 1))
    assert twin.machine.state_hash() == replica.machine.state_hash()
