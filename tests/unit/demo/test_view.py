"""The picture of the demo names nodes, leader, flow and failovers."""

import io

from rich.console import Console

from molecule.demo.faults import ClusterView, NodeView
from molecule.demo.view import Frame, View, picture

VIEW = ClusterView(
    leader="n2",
    nodes=(NodeView("n1", is_ready=False, in_flight=0), NodeView("n2", is_ready=True, in_flight=7)),
    accepted=100,
    ended=50,
)


def drawn(frame: Frame) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(picture(frame))
    return out.getvalue()


def test_the_picture_shows_who_leads_and_who_is_away() -> None:
    text = drawn(Frame(work=100, seconds=2.0, cluster=VIEW, said=("n1 was killed",)))
    lines = [line.split() for line in text.splitlines()]
    assert ["n1", "follower", "away", "0"] in lines
    assert ["n2", "leader", "ready", "7"] in lines
    assert "50 of 100 executions, 25 per second" in text
    assert "n1 was killed" in text


def test_the_picture_is_drawn_before_the_first_look() -> None:
    assert "0 of 100 executions" in drawn(Frame(work=100, seconds=0.0, cluster=None))


def test_without_a_terminal_each_sentence_is_printed_once() -> None:
    out = io.StringIO()
    with View(plain=True, console=Console(file=out, width=100)) as view:
        view.say("n1 was killed")
        view.show(work=100, seconds=1.0, cluster=VIEW)
    assert out.getvalue() == "n1 was killed\n"
