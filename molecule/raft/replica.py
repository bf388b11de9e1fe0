"""One voter, deterministic: messages, time and finished syncs in, one `Outbox` out.

No thread, no asyncio, no clock, no socket: `driver.py` or the simulator supply them. What an
`Outbox` holds may leave the process at once; everything that depends on the disk was held back
until the disk had it.
"""

from typing import Final

from molecule.model.errors import NoLeader, StorageFull, invariant
from molecule.raft.appends import Appends
from molecule.raft.dispatch import Dispatch
from molecule.raft.elections import Elections
from molecule.raft.formation import Formation, FormationRecord
from molecule.raft.journal import Journal
from molecule.raft.keepalive import KeepAlives, Rounds
from molecule.raft.leading import Leading
from molecule.raft.log import NO_OPERATION
from molecule.raft.outbox import Committed, Outbox, Role, SnapshotMark
from molecule.raft.parts import assemble
from molecule.raft.proposals import Proposals
from molecule.raft.settings import Bounds, Guards, Timing
from molecule.raft.snapshots import SnapshotNeeds, is_worth_installing, join

_FOREVER: Final = float("inf")
_ALLOCATION_PAUSE_SECONDS: Final = 1.0


class Replica:
    """A node's copy of the log and its part in consensus.

    Call `round` after every input and at `wake_at`.
    """

    def __init__(
        self,
        *,
        me: str,
        voters: tuple[str, ...],
        timing: Timing,
        journal: Journal,
        snapshot: SnapshotMark | None,
        seed: int,
        now: float,
        guards: Guards | None = None,
        bounds: Bounds | None = None,
        formation: Formation | None = None,
    ) -> None:
        invariant(me in voters, "a replica must be one of the voters", me=me)
        guards, bounds = guards or Guards(), bounds or Bounds()
        join(journal, snapshot, guards)
        self._parts = assemble(
            me=me,
            voters=voters,
            journal=journal,
            timing=timing,
            guards=guards,
            bounds=bounds,
            seed=seed,
            now=now,
        )
        self._appends = Appends(self._parts)
        self._elections = Elections(self._parts, deadline=now)
        self._elections.restart_timer(now)
        if not self._parts.others:
            self._elections.deadline = now
        self._keep_alives = KeepAlives(self._parts, Rounds(self._parts.others))
        self._snapshots = SnapshotNeeds(pause_seconds=timing.keepalive)
        self._leading = Leading(
            self._parts, self._appends, self._elections, self._keep_alives, self._snapshots
        )
        self._proposals = Proposals()
        self._formation = formation
        self._dispatch = Dispatch(
            self._parts, self._appends, self._elections, self._keep_alives, formation
        )
        self._now = now
        self._no_room_because = ""
        self._was_leader = False
        self._was_term = self.term
        self._role = Role(self.term, None, is_leader=False)
        self._handed_out_index = journal.head.index
        self._allocate_again_at = 0.0
        self._gave_way = False
        self._frozen = False
        self._fatal: str | None = None
        self._out = Outbox()

    # --- what it knows ------------------------------------------------------------------------

    @property
    def term(self) -> int:
        """Raft's term; for logs and metrics only."""
        return self._parts.core.term

    @property
    def is_leader(self) -> bool:
        """Whether this node won the election of its term.

        Leadership of the cluster is a committed claim on top.
        """
        return self._parts.core.is_leader

    @property
    def leader_id(self) -> str | None:
        """The leader of the current term, if known."""
        return self._parts.core.leader_id

    @property
    def commit_index(self) -> int:
        """The last index known to be committed."""
        return self._parts.core.commit_index

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still for an installed snapshot."""
        return self._frozen

    @property
    def journal(self) -> Journal:
        """The journal this replica writes."""
        return self._parts.journal

    # --- inputs -------------------------------------------------------------------------------

    def _passes(self, now: float) -> None:
        invariant(now >= self._now, "the monotonic clock went back", now=now, before=self._now)
        self._now = now

    def link_up(self, peer: str, connection: int, now: float) -> None:
        """A link to a peer was opened; `connection` is greater than any before with this peer."""
        self._passes(now)
        if self._frozen or peer not in self._parts.others:
            return
        self._parts.links.up(peer, connection)
        self._appends.link_changed(peer)
        if self._formation is not None:
            self._parts.say(peer, self._formation.frame())
        if self.is_leader:
            self._appends.probe(now, peer)
            self._after_core(now)

    def link_down(self, peer: str, connection: int, now: float) -> None:
        """That link was closed. A link that was replaced already is no news."""
        self._passes(now)
        if self._frozen or not self._parts.links.down(peer, connection):
            return
        self._appends.link_changed(peer)
        self._elections.link_broke(now, peer)

    def receive(self, peer: str, connection: int, frame: bytes, now: float) -> None:
        """A serialized `RaftFrame` of a peer.

        One that is malformed, stale or repeated is dropped.
        """
        self._passes(now)
        if self._frozen:
            return
        heard = self._dispatch.read(peer, connection, frame)
        if heard is None:
            return
        if not self._is_formed():
            # An empty voter hears of nothing else until all voters agree that they are new.
            self._dispatch.hear_formation(peer, heard)
            return
        self._dispatch.hear(now, peer, heard)
        self._after_core(now)

    def synced(self, position: int, now: float) -> None:
        """The write that ended at this position is durable."""
        self._passes(now)
        self._parts.journal.synced(position)
        self._elections.sync_took(self._keep_alives.sync_ended(now))

    def sync_failed(self, message: str, now: float) -> None:
        """A write or sync failed. What is durable is unknown for ever, so the node stops."""
        self._passes(now)
        self._fatal = (
            f"the journal could not be synced: {message}. After a failed sync nothing is known"
            " about what is on the disk; mend the disk, then start the node again"
        )

    def allocated(self, now: float) -> None:
        """The journal has a spare segment again."""
        self._passes(now)
        self._parts.journal.allocated()
        self._gave_way = False

    def allocation_failed(self, message: str, now: float) -> None:
        """There is no room for a spare segment.

        Lead no more, and take entries only while the last one lasts.
        """
        self._passes(now)
        self._parts.journal.allocation_failed()
        self._allocate_again_at = now + _ALLOCATION_PAUSE_SECONDS
        self._no_room_because = message
        if self.is_leader and not self._gave_way:
            self._gave_way = True
            self.transfer(now)

    def formation_record(self) -> FormationRecord:
        """What `save_formation` asks to make durable."""
        invariant(self._formation is not None, "this cluster was formed before")
        return self._formation.record() if self._formation else FormationRecord({}, is_formed=True)

    def formation_saved(self, now: float) -> None:
        """What `save_formation` asked for is durable."""
        self._passes(now)
        if self._formation is not None:
            self._formation.saved()
            self._elections.restart_timer(now)
            for peer in self._parts.others:
                self._parts.say(peer, self._formation.frame())

    def propose(self, data: bytes, ticket: int, now: float) -> None:
        """Put a command into the log.

        Raises NoLeader or StorageFull; then it never will be in it.
        """
        self._passes(now)
        invariant(data, "a command is never empty")
        size = len(data) + 1
        invariant(
            size <= self._parts.bounds.entry_bytes_max,
            "a command is larger than an entry",
            size_bytes=size,
        )
        self._refuse_unless_leading()
        if not self._parts.journal.has_room(size, 1):
            raise StorageFull(
                "the journal of the leader has no room for another entry",
                because=self._no_room_because,
            )
        index = self._parts.core.propose(now, data)
        self._proposals.add(index, self.term, ticket)
        self._leading.log_grew = True

    def barrier(self, ticket: int, now: float) -> None:
        """Answer this ticket with an index after a majority round begun from now on.

        Raises NoLeader.
        """
        self._passes(now)
        self._refuse_unless_leading()
        self._keep_alives.barrier(ticket)

    def _refuse_unless_leading(self) -> None:
        if self._frozen or self._fatal is not None or not self.is_leader:
            raise NoLeader("this node does not lead", leader=self.leader_id)
        if self._leading.is_handing_over:
            raise NoLeader("this node is handing its leadership over")

    def transfer(self, now: float) -> None:
        """As leader.

        Hand leadership to the follower that has every entry first, within an election timeout.
        """
        self._passes(now)
        if self.is_leader:
            self._leading.hand_over(now)

    def snapshot_saved(self, mark: SnapshotMark, now: float) -> None:
        """The state at this index is durable outside; the journal below may go."""
        self._passes(now)
        if not self._frozen:
            self._parts.journal.cut_below(mark)

    def snapshot_offered(self, mark: SnapshotMark) -> bool:
        """Whether to receive and install this snapshot; if not, answer that it is here already."""
        return is_worth_installing(
            mark,
            commit_index=self.commit_index,
            own_snapshots=self._parts.guards.own_snapshots,
        )

    def snapshot_sent(self, peer: str, arrived: bool, now: float) -> None:  # noqa: FBT001  # the answer
        """The transfer that `snapshots_wanted` asked for ended."""
        self._passes(now)
        self._snapshots.ended(now, peer)
        if arrived and self.is_leader:
            self._appends.probe(now, peer)

    def freeze(self, now: float) -> None:
        """Nothing enters or leaves any more.

        The journal is about to be replaced by an installed one.
        """
        self._passes(now)
        self._frozen = True

    # --- one round ----------------------------------------------------------------------------

    def round(self, now: float) -> Outbox:
        """Everything to be done now. Bounded by what came in; never waits."""
        self._passes(now)
        known = self._formation
        refusal = known.refusal if known is not None and not known.is_formed else None
        self._fatal = self._fatal or refusal
        if self._frozen or self._fatal is not None:
            return Outbox(fatal=self._fatal, is_refused=refusal is not None, wake_at=_FOREVER)
        if self._is_formed():
            self._turn(now)
        self._write(now)
        out, self._out = self._out, Outbox()
        core, journal = self._parts.core, self._parts.journal
        durable = journal.durable_position
        if not self._parts.guards.durable_before_sending:
            durable = journal.position
        out.frames = self._parts.links.leaving(core.term, durable)
        self._hand_out(out)
        if not self._is_formed() and self._formation is not None:
            out.save_formation = self._formation.take_unsaved()
        role = Role(core.term, core.leader_id, core.is_leader)
        if role != self._role:
            self._role = out.role = role
        out.wake_at = self._wake_at(now)
        return out

    def _turn(self, now: float) -> None:
        self._elections.round(now, disk_hangs=self._keep_alives.disk_hangs(now))
        self._after_core(now)
        if self.is_leader and self._keep_alives.must_step_down(now):
            self._parts.core.step_down(now)
            self._after_core(now)
        if not self.is_leader:
            self._tick(now, send=False, reachable=self._parts.links.peers_up())
            return
        send, receivers = self._leading.receivers(now)
        self._tick(now, send=send, reachable=receivers)
        if self.is_leader:
            self._leading.round(now, self._out)

    def _tick(self, now: float, *, send: bool | None, reachable: list[str]) -> None:
        self._parts.core.tick(
            now, reachable=reachable, send=send, durable_index=self._parts.journal.durable_index
        )
        self._after_core(now)

    def _write(self, now: float) -> None:
        journal, guards = self._parts.journal, self._parts.guards
        if not guards.durable_journal:
            write = journal.take_write()
            if write is not None:
                # The library writes to a memory map that it never syncs.
                write.write()
                journal.synced(write.position)
        elif journal.wants_write:
            self._out.sync_to = journal.position
            self._keep_alives.sync_begun(now)
        self._out.allocate = journal.wants_allocation and now >= self._allocate_again_at

    def _hand_out(self, out: Outbox) -> None:
        log = self._parts.journal.log
        index = self.commit_index
        if self._parts.guards.durable_before_sending:
            index = min(index, self._parts.journal.durable_index)
        index = min(index, log.last_index)
        first = log.head.index
        for command, at, term in log.entries[
            self._handed_out_index + 1 - first : index + 1 - first
        ]:
            data = b"" if command == NO_OPERATION else command[1:]
            out.committed.append(Committed(at, term, data))
        self._handed_out_index = max(index, self._handed_out_index)
        out.settled = self._proposals.settle(log, index) + out.settled
        if self.is_leader:
            out.barriers += self._keep_alives.answered_barriers()

    def _wake_at(self, now: float) -> float:
        if not self._is_formed():
            return _FOREVER
        wake_at = self._elections.wake_at()
        if self.is_leader:
            wake_at = self._leading.wake_at(now)
        if now < self._allocate_again_at:
            wake_at = min(wake_at, self._allocate_again_at)
        return wake_at

    def _after_core(self, now: float) -> None:
        """Follow the changes of the core's role, then send what it said."""
        is_leader, term = self.is_leader, self.term
        stays = is_leader and self._was_leader and term == self._was_term
        if self._was_leader and not stays:
            self._lose_leadership(now)
        if is_leader and not stays:
            self._leading.begin(now)
        self._was_leader, self._was_term = is_leader, term
        self._dispatch.core_said(now)

    def _lose_leadership(self, now: float) -> None:
        index = min(self.commit_index, self._parts.journal.durable_index)
        self._out.settled += self._proposals.settle(self._parts.journal.log, index)
        self._out.settled += self._proposals.lose()
        self._out.barriers += self._keep_alives.lose_barriers()
        self._leading.end()
        self._elections.restart_timer(now)

    def _is_formed(self) -> bool:
        return self._formation is None or self._formation.is_formed
