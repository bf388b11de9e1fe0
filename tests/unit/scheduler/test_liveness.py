"""The leader's memory of heartbeats: grace, lives, verdicts."""

from molecule.config import Timing
from molecule.model.ids import Incarnation, NodeId
from molecule.scheduler.liveness import Liveness, Lost, lost
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import Replica

TIMING = Timing(lease_ms=2_500, lease_margin_ms=250)
N1 = NodeId("n1")


def verdicts(replica: Replica, liveness: Liveness, now_ms: int) -> list[Lost]:
    return lost(replica.state, liveness, now_ms=now_ms, timing=TIMING)


def test_new_leader_gives_everybody_one_lease_and_margin() -> None:
    replica, liveness = Replica(nodes=1), Liveness()
    liveness.notice(replica.state, now_ms=10_000)
    assert verdicts(replica, liveness, 12_749) == []
    assert verdicts(replica, liveness, 12_750) == [Lost(N1, Incarnation(1), 2_750)]


def test_longer_leases_of_the_leader_before_are_waited_for() -> None:
    replica, liveness = Replica(nodes=1), Liveness()
    replica.state.lease_hold_ms = 10_250
    liveness.notice(replica.state, now_ms=0)
    assert verdicts(replica, liveness, 10_249) == []
    assert verdicts(replica, liveness, 10_250) == [Lost(N1, Incarnation(1), 10_250)]


def test_node_that_was_never_noticed_is_not_judged() -> None:
    assert verdicts(Replica(nodes=1), Liveness(), 10**9) == []


def test_heartbeat_puts_the_verdict_off() -> None:
    replica, liveness = Replica(nodes=1), Liveness()
    liveness.notice(replica.state, now_ms=0)
    liveness.hear(N1, Incarnation(1), now_ms=2_000)
    liveness.notice(replica.state, now_ms=3_000)
    assert verdicts(replica, liveness, 4_749) == []
    assert liveness.silent_ms(N1, now_ms=4_000) == 2_000


def test_heartbeat_of_an_earlier_life_says_nothing() -> None:
    replica, liveness = Replica(nodes=1), Liveness()
    replica.register("n1", life="2", slots=1)
    liveness.notice(replica.state, now_ms=0)
    liveness.hear(N1, Incarnation(1), now_ms=2_000)
    assert verdicts(replica, liveness, 2_750) == [Lost(N1, Incarnation(2), 2_750)]


def test_heartbeat_heard_before_the_registration_is_known_counts() -> None:
    replica, liveness = Replica(nodes=1), Liveness()
    liveness.hear(N1, Incarnation(1), now_ms=500)
    liveness.notice(replica.state, now_ms=1_000)
    assert liveness.silent_ms(N1, now_ms=1_000) == 500


def test_new_life_gets_its_own_grace() -> None:
    replica, liveness = Replica(nodes=1), Liveness()
    liveness.notice(replica.state, now_ms=0)
    replica.register("n1", life="2", slots=1)
    liveness.notice(replica.state, now_ms=2_700)
    assert verdicts(replica, liveness, 2_750) == []


def test_lost_node_is_forgotten_and_not_judged_twice() -> None:
    replica, liveness = Replica(nodes=1), Liveness()
    liveness.notice(replica.state, now_ms=0)
    replica.say(expire_node=wire.ExpireNode(epoch=1, node="n1", incarnation=1))
    assert verdicts(replica, liveness, 9_000) == []
    liveness.notice(replica.state, now_ms=9_000)
    assert liveness.heard == {}


def test_clock_that_stands_still_gives_no_negative_silence() -> None:
    replica, liveness = Replica(nodes=1), Liveness()
    liveness.notice(replica.state, now_ms=1_000)
    liveness.hear(N1, Incarnation(1), now_ms=500)
    assert liveness.silent_ms(N1, now_ms=900) == 0
