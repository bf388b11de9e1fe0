"""When a node is ready, and what it says while it is not."""

import pytest

from molecule.node.health import health

VOTER = {"role": "voter", "waits_because": ""}


def test_node_is_ready_once_somebody_leads_and_knows_it() -> None:
    told = health("n1", leader="n2", is_formed=True, is_registered=True, is_draining=False, **VOTER)
    assert told == {
        "ready": True,
        "started": True,
        "draining": False,
        "reasons": [],
        "node": "n1",
        "role": "voter",
        "leader": "n2",
    }


@pytest.mark.parametrize(
    ("leader", "is_formed", "is_registered", "reason"),
    [
        (None, False, True, "the voters have not all been seen yet"),
        (None, True, True, "no node leads"),
        ("n2", True, False, "has not registered"),
    ],
)
def test_node_that_is_not_ready_says_why(
    leader: str | None, is_formed: bool, is_registered: bool, reason: str
) -> None:
    told = health(
        "n1",
        leader=leader,
        is_formed=is_formed,
        is_registered=is_registered,
        is_draining=False,
        **VOTER,
    )
    assert not told["ready"]
    assert [each for each in told["reasons"] if reason in each] == told["reasons"]


@pytest.mark.parametrize(("leader", "only_draining"), [("n2", True), (None, False)])
def test_node_that_drains_is_not_ready_and_says_so(
    leader: str | None,
    only_draining: bool,
) -> None:
    told = health(
        "n1", leader=leader, is_formed=True, is_registered=True, is_draining=True, **VOTER
    )
    assert (told["ready"], told["draining"]) == (False, only_draining)
    assert "draining" in told["reasons"][-1]


def test_a_newcomer_says_why_it_is_not_let_in() -> None:
    told = health(
        "n4",
        leader=None,
        is_formed=False,
        is_registered=False,
        is_draining=False,
        role="newcomer",
        waits_because="no token",
    )
    assert "waits to be let in: no token" in told["reasons"][0]
