"""How long a victim's work was nowhere: what counts as moved by a fault, and from when."""

from chaos import records as r
from chaos.history import History
from chaos.record import Record
from chaos.report import goals
from chaos.report.moving import Moves, moved
from tests.unit.chaos.good_runs import good

HEADER = good(3).header
BEGAN_MS = HEADER.wall_ms


def a_fault(number: int, at_ms: int, *nodes: str) -> list[Record]:
    begin = r.FaultBegan(
        at_us=at_ms * 1000, wall_ms=BEGAN_MS + at_ms, fault=number, fault_kind="kill", nodes=nodes
    )
    end = r.FaultEnded(at_us=at_ms * 1000 + 1, wall_ms=BEGAN_MS + at_ms, fault=number)
    return [begin, end]


def story(name: str, *rows: tuple[int, str, str]) -> r.Timeline:
    return r.Timeline(
        at_us=90_000_000,
        wall_ms=BEGAN_MS + 90_000,
        node="n1",
        execution=name,
        rows=tuple(
            r.TimelineRow(index=at_ms, at_ms=BEGAN_MS + at_ms, kind=kind, node=node)
            for at_ms, kind, node in rows
        ),
    )


def told(*records: Record) -> list[Moves]:
    return moved(History(HEADER, (HEADER, *records)))


def test_the_longest_move_of_a_victims_work_is_told_from_the_fault_and_from_its_loss() -> None:
    found = told(
        *a_fault(1, 1_000, "n1"),
        story("a", (500, "assigned", "n1"), (1_300, "pending", ""), (1_350, "assigned", "n2")),
        story("b", (600, "assigned", "n1"), (1_300, "pending", ""), (1_700, "assigned", "n3")),
        story("c", (600, "assigned", "n2"), (1_200, "pending", ""), (1_900, "assigned", "n3")),
    )

    assert found == [Moves(executions=2, since_fault_ms=700, since_known_ms=400)]


def test_work_that_left_by_itself_or_came_back_was_not_moved() -> None:
    found = told(
        *a_fault(1, 1_000, "n1"),
        story(
            "waited",
            (500, "assigned", "n1"),
            (1_100, "waiting", ""),
            (1_300, "pending", ""),
            (1_350, "assigned", "n2"),
        ),
        story("back", (600, "assigned", "n1"), (1_300, "pending", ""), (1_700, "assigned", "n1")),
        story(
            "later", (1_100, "assigned", "n1"), (1_300, "pending", ""), (1_700, "assigned", "n2")
        ),
    )

    assert found == [Moves(executions=0, since_fault_ms=None, since_known_ms=None)]


def test_what_the_next_fault_moved_is_not_the_first_ones() -> None:
    found = told(
        *a_fault(1, 1_000, "n1"),
        *a_fault(2, 2_000, "n1"),
        story("a", (500, "assigned", "n1"), (2_300, "pending", ""), (2_400, "assigned", "n2")),
    )

    assert [one.executions for one in found] == [0, 1]


def test_a_goal_stands_beside_the_faults_of_its_sentence_alone() -> None:
    of_kill = goals.of_outage("kill", "leader")
    assert of_kill is not None
    assert str(of_kill) == "300 / 1,000 ms"
    assert of_kill.is_met([250, 290, 999])
    assert not of_kill.is_met([250, 290, 1_000])
    assert not of_kill.is_met([310, 320, 330])
    assert goals.of_outage("kill", "busy follower") is None
    assert goals.of_outage("all_apart", "all nodes") is None
    assert str(goals.of_work("isolate", "busy follower")) == "4,000 ms"
    assert str(goals.of_work("freeze", "leader")) == "5,500 ms"
    assert goals.of_known_work("freeze", "leader") is None
