"""One voter, deterministic: messages, time and finished syncs in, one `Outbox` out.

No thread, no asyncio, no clock, no socket: `driver.py` or the simulator supply them. What an
`Outbox` holds may leave the process at once; everything that depends on the disk was held back
until the disk had it.
"""

from typing import Final

from molecule.model.errors import NoLeader, StorageFull, invariant
from molecule.raft.changes import Change
from molecule.raft.configuration import Configuration
from molecule.raft.duties import Duties
from molecule.raft.formation import Formation, FormationRecord
from molecule.raft.handing_out import HandingOut
from molecule.raft.journal import Journal
from molecule.raft.log import COMMAND, CONFIGURATION
from molecule.raft.outbox import Outbox, Role, SnapshotMark
from molecule.raft.parts import assemble
from molecule.raft.proposals import Proposals
from molecule.raft.settings import Bounds, Guards, Timing
from molecule.raft.snapshots import is_worth_installing, join
from molecule.raft.standing import Standing

_FOREVER: Final = float("inf")
_ALLOCATION_PAUSE_SECONDS: Final = 1.0


class Replica(Standing):
    """A node's copy of the log and its part in consensus.

    Call `round` after every input that does not say otherwise, and at `wake_at`.
    """

    def __init__(
        self,
        *,
        me: str,
        formed: Configuration,
        timing: Timing,
        journal: Journal,
        snapshot: SnapshotMark | None,
        seed: int,
        now: float,
        guards: Guards | None = None,
        bounds: Bounds | None = None,
        formation: Formation | None = None,
    ) -> None:
        guards, bounds = guards or Guards(), bounds or Bounds()
        join(journal, snapshot, guards)
        self._parts = assemble(
            me=me,
            formed=formed,
            journal=journal,
            timing=timing,
            guards=guards,
            bounds=bounds,
            seed=seed,
            now=now,
            birth=None if formation is None else formation.birth,
        )
        duties = Duties.of(self._parts, formation, now)
        self._appends, self._elections = duties.appends, duties.elections
        self._keep_alives, self._snapshots = duties.keep_alives, duties.snapshots
        self._leading, self._membership = duties.leading, duties.membership
        self._dispatch = duties.dispatch
        self._formation = formation
        self._proposals = Proposals()
        self._now = now
        self._no_room_because = ""
        self._was_leader = False
        self._was_term = self.term
        self._role = Role(self.term, None, is_leader=False)
        self._handing_out = HandingOut(journal.head.index)
        self._allocate_again_at = 0.0
        self._gave_way = False
        self._frozen = False
        self._fatal: str | None = None
        self._out = Outbox(configuration=self._parts.configuration)

    # --- inputs -------------------------------------------------------------------------------

    def _passes(self, now: float) -> None:
        invariant(now >= self._now, "the monotonic clock went back", now=now, before=self._now)
        self._now = now

    def link_up(self, peer: str, connection: int, now: float) -> None:
        """A link to a peer was opened; `connection` is greater than any before with this peer."""
        self._passes(now)
        if self._frozen:
            return
        self._parts.links.up(peer, connection)
        self._appends.link_changed(peer)
        self._membership.introduce_to(peer)
        if self.is_leader and self._parts.is_member(peer):
            self._appends.probe(now, peer)
            self._after_core(now)

    def link_down(self, peer: str, connection: int, now: float) -> None:
        """That link was closed. A link that was replaced already is no news."""
        self._passes(now)
        if self._frozen or not self._parts.links.down(peer, connection):
            return
        self._appends.link_changed(peer)
        self._elections.link_broke(now, peer)

    def receive(self, peer: str, connection: int, frame: bytes, now: float) -> bool:
        """A serialized `RaftFrame` of a peer; False when no round is due because of it.

        One that is malformed, stale or repeated is dropped.
        """
        self._passes(now)
        if self._frozen:
            return False
        heard = self._dispatch.read(peer, connection, frame)
        if heard is None:
            return False
        if not self._is_formed():
            # An empty node hears of nothing else until it is known to be new, not emptied.
            self._dispatch.hear_formation(now, peer, heard)
            return True
        self._dispatch.hear(now, peer, heard)
        self._after_core(now)
        return self._dispatch.is_news(heard)

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
            self._parts.formed = self._parts.formed.with_births(self._formation.promised)
            self._elections.restart_timer(now)
            self._membership.introduce_to_all()

    def propose(self, data: bytes, ticket: int, now: float) -> None:
        """Put a command into the log.

        Raises NoLeader or StorageFull; then it never will be in it.
        """
        self._passes(now)
        invariant(data, "a command is never empty")
        self._refuse_unless_leading()
        self._add(COMMAND + data, ticket, now)

    def _add(self, entry: bytes, ticket: int, now: float) -> None:
        size = len(entry)
        invariant(
            size <= self._parts.bounds.entry_bytes_max,
            "a command is larger than an entry",
            size_bytes=size,
        )
        if not self._parts.journal.has_room(size, 1):
            raise StorageFull(
                "the journal of the leader has no room for another entry",
                because=self._no_room_because,
            )
        index = self._parts.core.propose(now, entry)
        self._proposals.add(index, self.term, ticket)
        self._leading.log_grew = True

    def change(self, change: Change, ticket: int, now: float) -> bool:
        """Propose a change of the configuration; False: it is so already, nothing was proposed.

        Raises what `propose` raises and what `Membership.plan` raises, all definite.
        """
        self._passes(now)
        self._refuse_unless_leading()
        configuration = self._membership.plan(now, change)
        if configuration is None:
            return False
        if self._parts.journal.is_crowded:
            # Each segment begins with all of them: one more might leave no room for anything else.
            raise StorageFull("too many changes of members since the last snapshot")
        self._add(CONFIGURATION + configuration.encode(), ticket, now)
        self._follow_configuration(now)
        return True

    def barrier(self, ticket: int, now: float, *, at_once: bool = True) -> None:
        """Answer this ticket with an index after a majority round begun from now on.

        Not `at_once`: after the one that is due next anyway. Raises NoLeader.
        """
        self._passes(now)
        self._refuse_unless_leading()
        self._keep_alives.barrier(ticket, at_once=at_once)

    def _refuse_unless_leading(self) -> None:
        if self._frozen or self._fatal is not None or not self.is_leader:
            raise NoLeader("this node does not lead", leader=self.leader_id)
        if self._leading.is_handing_over:
            raise NoLeader("this node is handing its leadership over")

    def transfer(self, now: float, to: str | None = None) -> None:
        """As leader: hand leadership to a voter, or to the one that has every entry first.

        It is tried for an election timeout. Raises UnknownMember.
        """
        self._passes(now)
        if self.is_leader and to != self._parts.me:
            if to is not None:
                self._membership.refuse_no_voter(to)
            self._leading.hand_over(now, to)

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

    def age(self, now: float, applied_index: int) -> float | None:
        """Seconds that the applied state may be old; None when no leader was heard yet."""
        freshness = self._dispatch.freshness
        if self.is_leader and self._parts.commit_is_complete():
            freshness.heard(self.commit_index, as_of=self._keep_alives.rounds.majority_from(now))
        return freshness.age(now, applied_index)

    # --- one round ----------------------------------------------------------------------------

    def round(self, now: float) -> Outbox:
        """Everything to be done now. Bounded by what came in; never waits."""
        self._passes(now)
        known = self._formation
        refusal = known.binding_refusal if known is not None else None
        self._fatal = self._fatal or refusal
        if self._frozen or self._fatal is not None:
            return Outbox(fatal=self._fatal, is_refused=refusal is not None, wake_at=_FOREVER)
        if self._is_formed():
            self._turn(now)
        self._write(now)
        self._membership.introduce_when_changed()
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
            self._membership.round(now)
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
        out.committed += self._handing_out.take(log, index)
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
        self._follow_configuration(now)
        is_leader, term = self.is_leader, self.term
        stays = is_leader and self._was_leader and term == self._was_term
        if self._was_leader and not stays:
            self._lose_leadership(now)
        if is_leader and not stays:
            self._leading.begin(now)
            self._membership.begin()
        self._was_leader, self._was_term = is_leader, term
        self._dispatch.core_said(now)

    def _follow_configuration(self, now: float) -> None:
        was_voter = self._parts.is_voter
        configuration = self._membership.follow(now)
        if configuration is not None:
            self._out.configuration = configuration
            if self._parts.is_voter and not was_voter:
                self._elections.restart_timer(now)

    def _lose_leadership(self, now: float) -> None:
        index = min(self.commit_index, self._parts.journal.durable_index)
        self._out.settled += self._proposals.settle(self._parts.journal.log, index)
        self._out.settled += self._proposals.lose()
        self._out.barriers += self._keep_alives.lose_barriers()
        self._leading.end()
        self._elections.restart_timer(now)

    def _is_formed(self) -> bool:
        return self._formation is None or self._formation.is_formed
