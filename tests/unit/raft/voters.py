"""A few replicas on one virtual clock, with links that deliver in order and at once unless cut."""

from collections import deque
from dataclasses import dataclass, field

from molecule.raft.changes import AddLearner, Change, Promote
from molecule.raft.configuration import Configuration, Member
from molecule.raft.journal import Journal
from molecule.raft.outbox import BarrierAnswer, Committed, Outbox, Settled, SnapshotMark
from molecule.raft.recovery import open_journal
from molecule.raft.replica import Replica
from molecule.raft.settings import Bounds, Guards, Timing
from molecule.wire.v1.raft_pb2 import RaftFrame
from tests.unit.raft.disk import MemoryFiles

SMALL = Bounds(
    entry_bytes_max=4096,
    append_bytes_max=8192,
    append_entries_max=64,
    segment_bytes=64 * 1024,
    entries_kept=8,
    reserve_bytes=1024,
)
STEP = 0.001


@dataclass
class Voter:
    """One replica and all that came out of it."""

    files: MemoryFiles
    replica: Replica
    wake_at: float = 0.0
    committed: list[Committed] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    barriers: list[BarrierAnswer] = field(default_factory=list)
    snapshots_wanted: list[str] = field(default_factory=list)
    sent: list[tuple[str, RaftFrame]] = field(default_factory=list)
    fatal: str | None = None
    disk_hangs: bool = False
    is_deaf: bool = False
    frames: deque[tuple[str, int, bytes]] = field(default_factory=deque)


class Voters:
    """Drives replicas round by round; every message takes one step."""

    def __init__(
        self,
        names: str = "abc",
        *,
        guards: Guards | None = None,
        bounds: Bounds = SMALL,
        seed: int = 1,
    ) -> None:
        self.now = 10.0
        self.names = tuple(names)
        self.guards = guards or Guards()
        self.bounds = bounds
        self.seed = seed
        self.connection = 0
        self.links: dict[tuple[str, str], int] = {}
        self.voters: dict[str, Voter] = {}
        for name in self.names:
            files = MemoryFiles()
            self.voters[name] = Voter(
                files, self._replica(name, Journal.create(files, bounds=bounds), None)
            )
        for name in self.names:
            self.connect(name)

    def _replica(self, name: str, journal: Journal, snapshot: SnapshotMark | None) -> Replica:
        return Replica(
            me=name,
            formed=Configuration.formed_of(self.names if name in self.names else ()),
            timing=Timing(),
            journal=journal,
            snapshot=snapshot,
            seed=self.seed * 100 + ord(name),
            now=self.now,
            guards=self.guards,
            bounds=self.bounds,
        )

    def newcomer(self, name: str) -> None:
        """A node with an empty folder that was told of nobody; linked to all."""
        files = MemoryFiles()
        journal = Journal.create(files, bounds=self.bounds)
        self.voters[name] = Voter(files, self._replica(name, journal, None))
        self.connect(name)

    def change(self, change: Change, *, at: str, ticket: int = 900) -> None:
        """Propose a change and run until it is committed."""
        replica, settled = self[at].replica, self[at].settled
        if not replica.change(change, ticket, self.now):
            return
        before = len(settled)
        for _ in range(3000):
            self.step()
            if len(settled) > before:
                assert settled[-1].failure is None, settled[-1]
                return
        raise AssertionError("never settled")

    def join(self, name: str, *, at: str) -> None:
        """Let a newcomer become a voter."""
        self.newcomer(name)
        self.change(AddLearner(Member(name, f"{name}:1", f"{name}1")), at=at)
        self.promote(name, at=at)

    def promote(self, name: str, *, at: str) -> None:
        """As soon as it has everything."""
        for _ in range(3000):
            self.step()
            if any(learner.answers_in_time for learner in self[at].replica.learners(self.now)):
                break
        self.change(Promote(name), at=at)

    def __getitem__(self, name: str) -> Voter:
        return self.voters[name]

    def connect(self, name: str) -> None:
        """Open all links of a voter that are not open."""
        for other in self.voters:
            if other != name and (name, other) not in self.links:
                self.connection += 1
                self.links[name, other] = self.links[other, name] = self.connection
                self[name].replica.link_up(other, self.connection, self.now)
                self[other].replica.link_up(name, self.connection, self.now)

    def cut(self, name: str) -> None:
        """Break all links of a voter."""
        for other in self.voters:
            connection = self.links.pop((name, other), None)
            if connection is not None:
                del self.links[other, name]
                self[name].replica.link_down(other, connection, self.now)
                self[other].replica.link_down(name, connection, self.now)

    def restart(self, name: str, *, snapshot: SnapshotMark | None = None) -> None:
        """Power cut and start of one voter; its links come up again."""
        self.cut(name)
        files = self[name].files
        files.lose_power()
        journal = open_journal(files, bounds=self.bounds)
        self.voters[name] = Voter(files, self._replica(name, journal, snapshot))
        self.connect(name)

    def step(self) -> None:
        """One millisecond: every voter hears what was sent to it before, then does its round."""
        self.now += STEP
        for name, voter in self.voters.items():
            if voter.is_deaf:
                voter.frames.clear()
            while voter.frames:
                peer, connection, data = voter.frames.popleft()
                voter.replica.receive(peer, connection, data, self.now)
            self._do(name, voter, voter.replica.round(self.now))

    def _do(self, name: str, voter: Voter, out: Outbox) -> None:
        voter.committed += out.committed
        voter.settled += out.settled
        voter.barriers += out.barriers
        voter.snapshots_wanted += out.snapshots_wanted
        voter.fatal = voter.fatal or out.fatal
        voter.wake_at = out.wake_at
        journal = voter.replica.journal
        if out.allocate:
            allocation = journal.take_allocation()
            assert allocation is not None
            try:
                allocation.run()
            except OSError as error:
                voter.replica.allocation_failed(str(error), self.now)
            else:
                voter.replica.allocated(self.now)
        if not voter.disk_hangs:
            write = journal.take_write()
            if write is not None:
                try:
                    write.run()
                except OSError as error:
                    voter.replica.sync_failed(str(error), self.now)
                else:
                    voter.replica.synced(write.position, self.now)
        for frame in out.frames:
            decoded = RaftFrame.FromString(frame.data)
            voter.sent.append((frame.peer, decoded))
            if self.links.get((name, frame.peer)) == frame.connection:
                self[frame.peer].frames.append((name, frame.connection, frame.data))

    def run(self, seconds: float) -> None:
        """Many steps."""
        for _ in range(round(seconds / STEP)):
            self.step()

    def leader(self, *, among: str | None = None, within: float = 6.0) -> str:
        """Run until one of these voters leads and has committed in its term; its name."""
        for _ in range(round(within / STEP)):
            self.step()
            for name in among or self.voters:
                replica = self[name].replica
                if replica.is_leader:
                    term = replica.journal.log.term_at(replica.commit_index)
                    if term == replica.term:
                        return name
        raise AssertionError("no leader")

    def commit(self, data: bytes, *, at: str, ticket: int = 1) -> Settled:
        """Propose and run until it is settled."""
        self[at].replica.propose(data, ticket, self.now)
        before = len(self[at].settled)
        for _ in range(5000):
            self.step()
            if len(self[at].settled) > before:
                return self[at].settled[-1]
        raise AssertionError("never settled")

    def data(self, name: str) -> list[bytes]:
        """Commands committed at a voter, in order."""
        return [entry.data for entry in self[name].committed if entry.data]
