"""A voter whose disk was put back to an older copy is told so by the leader that it answered."""

import copy

from molecule.raft.configuration import Configuration
from molecule.raft.formation import Formation
from molecule.raft.journal import Journal
from molecule.raft.outbox import SnapshotMark
from molecule.raft.replica import Replica
from molecule.raft.settings import Timing
from tests.unit.raft.voters import Voters

HEARD_STEPS = 2
"""A link comes up, both say who they are: nothing of the log has arrived yet."""


class Formed(Voters):
    """Voters that know each other's data folders."""

    def _replica(self, name: str, journal: Journal, snapshot: SnapshotMark | None) -> Replica:
        births = {each: f"{each}1" for each in self.names}
        return Replica(
            me=name,
            formed=Configuration.formed_of(self.names, births=births),
            timing=Timing(),
            journal=journal,
            snapshot=snapshot,
            seed=self.seed * 100 + ord(name),
            now=self.now,
            guards=self.guards,
            bounds=self.bounds,
            formation=Formation("test", name, self.names, births[name], births, is_formed=True),
        )


def with_an_older_disk() -> tuple[Formed, str, str, str]:
    """Leader, the voter whose disk was put back, and one that never had the newest entries."""
    voters = Formed()
    leader = voters.leader()
    older, behind = (name for name in voters.names if name != leader)
    kept = copy.deepcopy(voters[older].files)
    voters.cut(behind)
    for number in range(5):
        assert voters.commit(b"%d" % number, at=leader).failure is None
    voters.cut(older)
    voters[older].files = kept
    voters.restart(older)
    return voters, leader, older, behind


def test_an_older_disk_elects_nobody_who_lacks_what_it_acknowledged() -> None:
    voters, leader, older, behind = with_an_older_disk()
    for _ in range(HEARD_STEPS):
        voters.step()
    voters.cut(leader)
    voters.cut(older)
    voters.links[older, behind] = voters.links[behind, older] = voters.connection = 1000
    voters[older].replica.link_up(behind, 1000, voters.now)
    voters[behind].replica.link_up(older, 1000, voters.now)

    voters.run(6.0)
    assert not voters[older].replica.is_leader
    assert not voters[behind].replica.is_leader

    for name in voters.names:
        voters.connect(name)
    again = voters.leader()
    assert voters.commit(b"after", at=again).failure is None
    voters.run(1.0)
    for name in voters.names:
        assert voters[name].fatal is None
        assert voters.data(name)[-6:] == [b"0", b"1", b"2", b"3", b"4", b"after"]


def test_an_older_disk_is_trusted_again_once_it_holds_everything() -> None:
    voters, leader, older, _ = with_an_older_disk()
    for _ in range(HEARD_STEPS):
        voters.step()
    assert voters[older].replica.journal.is_doubtful
    voters.run(2.0)
    assert not voters[older].replica.journal.is_doubtful
    assert voters.data(older) == voters.data(leader)


def test_a_voter_that_was_only_away_is_not_doubted() -> None:
    voters = Formed()
    leader = voters.leader()
    other = next(name for name in voters.names if name != leader)
    assert voters.commit(b"one", at=leader).failure is None
    voters.cut(other)
    assert voters.commit(b"two", at=leader).failure is None
    voters.restart(other)
    for _ in range(500):
        voters.step()
        assert not voters[other].replica.journal.is_doubtful
