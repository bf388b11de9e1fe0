"""`molecule.raft.Replica` as a member: the driver's duties, on simulated disk and time.

Snapshots travel in `snapshot_transfer.py`, folders are laid out in `generations.py`. What must
stay true: nothing is decided here that the product's driver would not decide the same way.
"""

import contextlib
import math
from collections.abc import Callable
from dataclasses import replace

from molecule.model.errors import (
    DamagedData,
    MoleculeError,
    NoLeader,
    StorageFull,
    UnknownMember,
)
from molecule.raft.changes import Change
from molecule.raft.configuration import Configuration
from molecule.raft.outbox import Outbox, SnapshotMark
from molecule.raft.replica import Replica
from molecule.raft.settings import Bounds, Guards, Timing
from molecule.raft.writes import Allocation, Write
from molecule.wire.v1.raft_pb2 import RaftFrame
from tests.simulation.generations import Generation
from tests.simulation.member import Member, MemberStopped, Port, Role, View
from tests.simulation.snapshot_transfer import Transfers, Word

# Small, so that segments, cuts and snapshots happen all the time.
BOUNDS = Bounds(
    append_bytes_max=8_192,
    append_entries_max=32,
    segment_bytes=65_536,
    entries_kept=8,
    reserve_bytes=4_096,
)
_FRAME_BYTES = 60


def make_replica_factory(
    guards: Guards | None = None, timing: Timing | None = None
) -> Callable[[Port], Member]:
    """Members with these guards, most of the time all of them."""

    def factory(port: Port) -> Member:
        return ReplicaMember(port, guards or Guards(), timing or Timing())

    return factory


class ReplicaMember:
    """One life of a replica and its shell."""

    def __init__(self, port: Port, guards: Guards, timing: Timing) -> None:
        self._port = port
        self._is_ended = False
        self._is_saving = False
        self._is_syncing = False
        try:
            self._generation = Generation.open(port.disk, BOUNDS)
            journal = self._generation.open_journal()
            content = self._generation.load()
            mark = None if content is None else content[0]
            formation = self._generation.formation(port.name, port.voters, port.birth)
            self._replica = Replica(
                me=port.name,
                formed=Configuration.formed_of(
                    port.voters if port.name in port.voters else (), births=formation.promised
                ),
                timing=timing,
                journal=journal,
                snapshot=mark,
                seed=port.rng.randrange(1 << 30),
                now=port.now_s(),
                guards=guards,
                bounds=BOUNDS,
                formation=formation,
            )
        except DamagedData as damage:
            raise MemberStopped(str(damage)) from damage
        except OSError as error:
            raise MemberStopped(f"cannot start: {error}") from error
        if content is not None:
            port.register.load(content[1])
            port.loaded(content[0].index)
        self._journal = journal
        self._watch_cuts()
        self._handed = mark or journal.head
        self._saved = mark or SnapshotMark(0, 0)
        self._reads: list[tuple[int, int]] = []
        self._transfers = Transfers(port, self)
        self.settle()

    # --- inputs -------------------------------------------------------------------------------

    def link_up(self, peer: str, connection: int) -> None:
        self._transfers.link_up(peer, connection)
        self._replica.link_up(peer, connection, self._port.now_s())

    def link_down(self, peer: str, connection: int) -> None:
        self._transfers.link_down(peer, connection)
        self._replica.link_down(peer, connection, self._port.now_s())

    def receive(self, peer: str, connection: int, frame: object) -> None:
        if isinstance(frame, bytes):
            self._replica.receive(peer, connection, frame, self._port.now_s())
        elif isinstance(frame, Word):
            self._transfers.hear(peer, connection, frame)

    def wake(self) -> None:
        """Nothing but the round that `settle` does."""

    def propose(self, data: bytes, ticket: int) -> None:
        try:
            self._replica.propose(data, ticket, self._port.now_s())
        except (NoLeader, StorageFull):
            self._port.settled(ticket, None, definite=True)

    def barrier(self, ticket: int) -> None:
        try:
            # Half of the reads can wait for the round that is due next.
            self._replica.barrier(ticket, self._port.now_s(), at_once=ticket % 2 == 0)
        except NoLeader:
            self._port.read_from(ticket, None)

    def change(self, change: Change, ticket: int) -> None:
        try:
            if self._replica.change(change, ticket, self._port.now_s()):
                return
        except MoleculeError:
            pass
        self._port.settled(ticket, None, definite=True)

    def transfer(self, to: str) -> None:
        with contextlib.suppress(UnknownMember):
            self._replica.transfer(self._port.now_s(), to)

    def snapshot(self) -> None:
        """Save the state as it is now; the journal is cut a little later, as by a thread."""
        if self._is_saving or self._is_ended or self._handed.index <= self._saved.index:
            return
        self._is_saving = True
        mark, content = self._handed, self._port.register.dump()
        self._port.later(self._port.disk.sync_delay_s(), lambda: self._save(mark, content))

    def view(self) -> View:
        replica, journal = self._replica, self._journal
        leads = replica.is_leader
        return View(
            role=Role.LEADER if leads else Role.FOLLOWER,
            term=replica.term,
            leader=replica.leader_id,
            log_first=journal.head.index,
            log_last=journal.last_index,
            has_doubts=journal.is_doubtful,
            matched=self._matched() if leads else (),
            configuration=replica.configuration,
            committed=replica._parts.committed_configuration,
            ready=tuple(
                learner.node
                for learner in replica.learners(self._port.now_s())
                if learner.answers_in_time
            ),
        )

    def log_term(self, index: int) -> int | None:
        return self._journal.log.term_at(index)

    def _matched(self) -> tuple[tuple[str, int], ...]:
        parts = self._replica._parts
        return tuple((peer, parts.core.match_index(peer)) for peer in parts.others)

    # --- one round ----------------------------------------------------------------------------

    def settle(self) -> None:
        if self._is_ended:
            return
        out = self._replica.round(self._port.now_s())
        self._tell(out)
        self._apply(out)
        if out.sync_to is not None:
            self._begin_write(self._journal.take_write())
        if out.allocate:
            self._begin_allocation(self._journal.take_allocation())
        if out.save_formation:
            self._begin_saving_formation()
        for peer in out.snapshots_wanted:
            self._transfers.begin(peer, self._saved_state())
        if out.fatal is not None:
            raise MemberStopped(out.fatal)
        if out.wake_at < math.inf:
            self._port.wake_at(out.wake_at)

    def _tell(self, out: Outbox) -> None:
        port = self._port
        for frame in out.frames:
            heard = RaftFrame.FromString(frame.data)
            port.spoke(heard.term)
            match heard.WhichOneof("body"):
                case "vote_request":
                    port.voted(heard.vote_request.term, port.name)
                case "vote_answer":
                    port.voted(heard.vote_answer.term, frame.peer)
                case "append_answer" if heard.append_answer.accepted:
                    port.promised(heard.term, heard.append_answer.next_index - 1)
                case _:
                    pass
            port.send(frame.peer, frame.connection, frame.data, len(frame.data) + _FRAME_BYTES)

    def _apply(self, out: Outbox) -> None:
        port = self._port
        for entry in out.committed:
            if entry.data:
                port.applied(entry.index, entry.term, entry.data, in_term=self._replica.term)
            self._handed = SnapshotMark(entry.index, entry.term)
        for settled in out.settled:
            port.settled(settled.ticket, settled.index, definite=settled.failure == "definite")
        for answer in out.barriers:
            if answer.index is None:
                port.read_from(answer.ticket, None)
            else:
                self._reads.append((answer.ticket, answer.index))
        if self._reads:
            # A read looks at the state once the index of its barrier is applied here.
            ready = [read for read in self._reads if read[1] <= self._handed.index]
            self._reads = [read for read in self._reads if read[1] > self._handed.index]
            for ticket, index in ready:
                port.read_from(ticket, index)

    # --- the disk -----------------------------------------------------------------------------

    def _begin_write(self, write: Write | None) -> None:
        if write is None:
            return
        took_s = self._port.disk.sync_delay_s()
        try:
            write.write()
        except OSError as error:
            self._replica.sync_failed(str(error), self._port.now_s())
        else:
            self._port.later(took_s, lambda: self._end_write(write))

    def _end_write(self, write: Write) -> None:
        try:
            write.sync()
        except OSError as error:
            self._replica.sync_failed(str(error), self._port.now_s())
        else:
            self._replica.synced(write.position, self._port.now_s())

    def _begin_allocation(self, allocation: Allocation | None) -> None:
        if allocation is not None:
            delay_s = self._port.disk.sync_delay_s()
            self._port.later(delay_s, lambda: self._end_allocation(allocation))

    def _end_allocation(self, allocation: Allocation) -> None:
        try:
            allocation.run()
        except OSError as error:
            self._replica.allocation_failed(str(error), self._port.now_s())
        else:
            self._replica.allocated(self._port.now_s())

    def _begin_saving_formation(self) -> None:
        record = self._replica.formation_record()

        def save() -> None:
            try:
                self._generation.save_formation(record)
            except OSError as error:
                raise MemberStopped(f"cannot keep the formation: {error}") from error
            self._replica.formation_saved(self._port.now_s())

        self._port.later(self._port.disk.sync_delay_s(), save)

    def _save(self, mark: SnapshotMark, content: bytes) -> None:
        self._is_saving = False
        if self._is_ended:
            return
        try:
            self._generation.save(mark, content)
        except OSError:
            # The old snapshot is still there and the journal was not cut: try again another time.
            return
        self._saved = mark
        delay_s = self._port.disk.sync_delay_s()
        self._port.later(delay_s, lambda: self._replica.snapshot_saved(mark, self._port.now_s()))

    def _saved_state(self) -> tuple[SnapshotMark, bytes] | None:
        loaded = self._generation.load()
        if loaded is None:
            return None
        mark, content = loaded
        members = self._journal.log.configuration_at(mark.index)
        return replace(mark, configuration=members), content

    # --- snapshots from and to others (`snapshot_transfer.Owner`) ------------------------------

    def wants_snapshot(self, mark: SnapshotMark) -> bool:
        """Would this snapshot bring us on."""
        return not self._is_ended and self._replica.snapshot_offered(mark)

    def snapshot_ended(self, peer: str, *, arrived: bool) -> None:
        """A transfer to a peer is over."""
        self._replica.snapshot_sent(peer, arrived, self._port.now_s())

    def install(self, mark: SnapshotMark, content: bytes, done: Callable[[], None]) -> None:
        """Put a received snapshot in place of everything here, say so, begin a new life."""
        self._replica.freeze(self._port.now_s())
        self._is_ended = True
        if self._journal.log.term_at(mark.index) != mark.term:
            # What contradicts the snapshot goes with the old generation.
            self._tell_cut(mark.index + 1)

        def put_in_place() -> None:
            try:
                self._generation.replace(self._journal, mark, content)
            except OSError as error:
                raise MemberStopped(f"cannot install a snapshot: {error}") from error
            done()
            self._port.restart()

        self._port.later(self._port.disk.sync_delay_s(), put_in_place)

    def _watch_cuts(self) -> None:
        """Tell the checker each entry that leaves the end of the log, before it does."""
        journal, cut_from = self._journal, self._journal.cut_from

        def watched(index: int) -> None:
            self._tell_cut(index)
            cut_from(index)

        setattr(journal, "cut_from", watched)  # noqa: B010 - an observer, not a new behaviour

    def _tell_cut(self, index: int) -> None:
        journal = self._journal
        for lost in range(max(index, journal.head.index + 1), journal.last_index + 1):
            term = journal.log.term_at(lost) or 0
            self._port.cut(lost, term, in_term=self._replica.term)
