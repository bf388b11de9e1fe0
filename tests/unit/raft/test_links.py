"""Links: nothing said on an old one, in an old term or twice has any effect."""

from molecule.raft.links import Links
from molecule.wire.v1.raft_pb2 import RaftFrame, TermTooLow


def a_frame() -> RaftFrame:
    return RaftFrame(term_too_low=TermTooLow())


def a_heard_frame(sequence: int, *, connection: int = 70, sender: str = "b") -> RaftFrame:
    return RaftFrame(sender=sender, connection=connection, sequence=sequence)


def links() -> Links:
    opened = Links("a", check_sender=True)
    opened.up("b", 7)
    return opened


def test_frames_carry_sender_term_connection_and_sequence() -> None:
    opened = links()
    opened.say("b", a_frame(), term=3, depends_on=0)
    opened.say("b", a_frame(), term=3, depends_on=0)

    left = [RaftFrame.FromString(frame.data) for frame in opened.leaving(3, 0)]

    assert [(f.sender, f.term, f.connection, f.sequence) for f in left] == [
        ("a", 3, 7, 1),
        ("a", 3, 7, 2),
    ]


def test_a_frame_waits_until_what_it_depends_on_is_durable() -> None:
    opened = links()
    opened.say("b", a_frame(), term=1, depends_on=100)
    assert opened.leaving(1, 99) == []

    assert len(opened.leaving(1, 100)) == 1
    assert opened.leaving(1, 100) == []


def test_a_waiting_frame_is_dropped_with_its_term() -> None:
    opened = links()
    opened.say("b", a_frame(), term=1, depends_on=100)
    opened.leaving(2, 0)

    assert opened.leaving(2, 100) == []


def test_a_waiting_frame_is_dropped_with_its_link() -> None:
    opened = links()
    opened.say("b", a_frame(), term=1, depends_on=100)
    opened.down("b", 7)
    opened.up("b", 8)

    assert opened.leaving(1, 100) == []


def test_a_frame_is_heard_once() -> None:
    opened = links()

    assert opened.accepts("b", 7, a_heard_frame(1))
    assert not opened.accepts("b", 7, a_heard_frame(1))
    assert opened.accepts("b", 7, a_heard_frame(2))


def test_a_frame_of_an_old_link_is_not_heard() -> None:
    opened = links()
    opened.up("b", 8)

    assert not opened.accepts("b", 7, a_heard_frame(1))


def test_a_frame_of_another_link_of_the_peer_is_not_heard() -> None:
    opened = links()
    opened.accepts("b", 7, a_heard_frame(1, connection=70))

    assert not opened.accepts("b", 7, a_heard_frame(2, connection=69))


def test_a_frame_in_another_name_is_not_heard() -> None:
    assert not links().accepts("b", 7, a_heard_frame(1, sender="c"))


def test_closing_an_old_link_leaves_the_new_one_open() -> None:
    opened = links()
    opened.up("b", 8)

    assert not opened.down("b", 7)
    assert opened.is_up("b")
