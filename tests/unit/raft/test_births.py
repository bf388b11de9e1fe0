"""A member is a node with one data folder: another one under the same name counts for nothing."""

from molecule.raft.configuration import Configuration, Member
from molecule.raft.formation import Formation
from molecule.raft.journal import Journal
from molecule.raft.outbox import SnapshotMark
from molecule.raft.parts import Parts, assemble
from molecule.raft.replica import Replica
from molecule.raft.settings import Guards, Timing
from tests.unit.raft.disk import MemoryFiles
from tests.unit.raft.voters import SMALL

A, B, D = Member("a", "a:1", "a1"), Member("b", "b:1", "b1"), Member("d", "d:1", "d1")


def a_journal(configuration: Configuration) -> Journal:
    base = SnapshotMark(9, 2, configuration)
    return Journal.create(MemoryFiles(), base=base, term=2, bounds=SMALL)


def parts_of(configuration: Configuration, *, me: str = "a", birth: str = "a1") -> Parts:
    return assemble(
        me=me,
        formed=Configuration(),
        journal=a_journal(configuration),
        timing=Timing(),
        guards=Guards(),
        bounds=SMALL,
        seed=1,
        now=0.0,
        birth=birth,
    )


def test_a_newcomer_is_not_the_voter_of_its_name_that_it_replaced() -> None:
    # Its snapshot held the configuration of a time when its name, with the old disk, was the only
    # voter: it elected itself and committed what nobody knew.
    old = Configuration((D,), index=7)
    mark = SnapshotMark(9, 2)
    replica = Replica(
        me="d",
        formed=Configuration(),
        timing=Timing(),
        journal=a_journal(old),
        snapshot=mark,
        seed=1,
        now=0.0,
        bounds=SMALL,
        formation=Formation("test", "d", ("a",), "d2", is_formed=True),
    )

    for step in range(1, 5000):
        out = replica.round(step / 1000)
        assert not out.frames
        assert not replica.is_leader
    assert replica.term == 2


def test_the_voter_itself_goes_on_by_the_same_configuration() -> None:
    assert parts_of(Configuration((D,), index=7), me="d", birth="d1").is_voter
    assert not parts_of(Configuration((D,), index=7), me="d", birth="d2").is_voter


def test_an_answer_of_another_folder_does_not_count_for_the_member() -> None:
    parts = parts_of(Configuration((A, B), index=7))
    parts.links.up("b", 1)
    assert not parts.is_member("b"), "it has not said yet who it is"

    parts.links.introduced("b", "b2", is_part=True)
    assert not parts.is_member("b")

    parts.links.introduced("b", "b1", is_part=False)
    assert not parts.is_member("b"), "it does not take part yet"

    parts.links.introduced("b", "b1", is_part=True)
    assert parts.is_member("b")


def test_a_removed_member_is_not_heard_once_its_removal_is_committed() -> None:
    parts = parts_of(Configuration((A, B, D), index=7).without("d", removed_kept=3))
    parts.links.up("d", 1)
    parts.links.introduced("d", "d1", is_part=True)
    assert parts.is_removed("d")

    parts.links.up("d", 2)
    parts.links.introduced("d", "d2", is_part=False)
    assert not parts.is_removed("d"), "the same name with another folder is somebody else"
