"""The demo breaks a node only when that proves something."""

from dataclasses import replace

import pytest

from molecule.demo import faults
from molecule.demo.faults import PLAN, ClusterView, Due, FaultKind, NodeView, Place

LEADER = NodeView("n1", is_ready=True, in_flight=80)
BUSY = NodeView("n2", is_ready=True, in_flight=90)
QUIET = NodeView("n3", is_ready=True, in_flight=10)
VIEW = ClusterView(leader="n1", nodes=(LEADER, BUSY, QUIET), accepted=1000, ended=200)
HELD = Place("ASSIGNED", "n1", 1)


def due(done: int, view: ClusterView) -> Due | None:
    return faults.due(PLAN, done, view, work=1000)


def test_the_leader_is_killed_after_a_fifth_of_the_work() -> None:
    assert due(0, VIEW) == Due(FaultKind.LEADER_KILL, LEADER)
    assert due(0, replace(VIEW, ended=199)) is None


def test_the_busiest_follower_is_killed_after_two_fifths_of_the_work() -> None:
    assert due(1, replace(VIEW, ended=400)) == Due(FaultKind.NODE_KILL, BUSY)
    assert due(1, VIEW) is None


def test_a_follower_is_frozen_after_three_fifths_of_the_work() -> None:
    assert due(2, replace(VIEW, ended=600)) == Due(FaultKind.FREEZE, BUSY)


def test_a_follower_loses_its_disk_after_three_quarters_of_the_work() -> None:
    assert due(3, replace(VIEW, ended=750)) == Due(FaultKind.DISK_LOSS, BUSY)


def test_nothing_is_broken_after_the_plan_is_done() -> None:
    assert due(4, replace(VIEW, ended=1000)) is None


def test_nothing_is_broken_while_a_node_is_away() -> None:
    away = replace(QUIET, is_ready=False)
    assert due(0, replace(VIEW, nodes=(LEADER, BUSY, away))) is None


def test_nothing_is_broken_where_too_little_is_in_flight() -> None:
    idle = replace(LEADER, in_flight=49)
    assert due(0, replace(VIEW, nodes=(idle, BUSY, QUIET))) is None


def test_nothing_is_broken_while_nobody_leads() -> None:
    assert due(0, replace(VIEW, leader="")) is None


@pytest.mark.parametrize(
    ("now", "again", "moved"),
    [
        (Place("ASSIGNED", "n1", 1), False, True),
        (Place("PENDING", "", 1), False, True),
        (Place("ASSIGNED", "n2", 2), True, True),
        (Place("ASSIGNED", "n1", 2), True, True),
        (Place("WAITING", "", 1), True, True),
        (Place("COMPLETED", "n2", 2), True, True),
        (Place("COMPLETED", "n1", 1), True, False),
    ],
)
def test_an_execution_goes_on_when_it_has_left_the_victim(
    now: Place, again: bool, moved: bool
) -> None:
    assert (faults.runs_again(HELD, now), faults.was_moved(HELD, now)) == (again, moved)
