"""Tokens, admissions and nodes that left: what is refused, what may be said again."""

import pytest

from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.model.ids import NodeId
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import NOW_MS, Replica, reason


def create(replica: Replica, digest: str = "t1", *, role: str = "voter") -> Outcome:
    command = wire.CreateJoinToken(digest=digest, role=role, lifetime_ms=60_000)
    return replica.say(create_join_token=command)


def admit(replica: Replica, node: str = "n9", **fields: str) -> Outcome:
    said = {"digest": "t1", "role": "voter", "request": "r1", **fields}
    return replica.say(admit_node=wire.AdmitNode(node=node, **said))


def forget(replica: Replica, node: str) -> Outcome:
    return replica.say(forget_node=wire.ForgetNode(node=node))


def test_a_token_lets_one_node_in_and_its_holder_may_ask_again() -> None:
    replica = Replica()
    assert create(replica) == Applied(NOW_MS + 60_000)
    assert admit(replica) == Applied()
    assert admit(replica) == Applied(0, {"repeated": True})
    assert admit(replica, request="another key") == Rejected("token_used", {"by": "n9"})
    assert admit(replica, "n8") == Rejected("token_used", {"by": "n9"})


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"digest": "other"}, "unknown_token"),
        ({"role": "worker"}, "token_role"),
        ({"node": "n1"}, "node_exists"),
    ],
)
def test_a_wrong_token_or_name_is_refused(fields: dict[str, str], refusal: str) -> None:
    replica = Replica()
    create(replica)
    assert reason(admit(replica, **fields)) == refusal


def test_a_token_is_over_at_its_time_and_forgotten_later() -> None:
    replica = Replica()
    create(replica)
    replica.at_ms += 60_000
    assert reason(admit(replica)) == "token_expired"
    create(replica, "t2")
    assert list(replica.state.join_tokens) == ["t2"]


def test_a_token_for_an_unknown_role_is_refused() -> None:
    assert create(Replica(), role="king") == Rejected("invalid", {"field": "role"})
    assert create(Replica(), "") == Rejected("invalid", {"field": "digest"})


def test_a_node_that_left_is_refused_until_a_token_lets_it_in_again() -> None:
    replica = Replica()
    assert forget(replica, "n2") == Applied()
    assert NodeId("n2") not in replica.state.nodes
    assert replica.register("n2", life="2") == Rejected("removed")
    assert forget(replica, "n2") == Applied(0, {"repeated": True})
    create(replica)
    assert admit(replica, "n2") == Applied()
    assert replica.register("n2", life="2") == Applied(3)


def test_a_node_that_holds_something_is_not_forgotten() -> None:
    replica = Replica()
    replica.start("e1", "n1")
    assert forget(replica, "n1") == Rejected("node_busy", {"held": 1})
    assert forget(replica, "n9") == Rejected("unknown_node")
