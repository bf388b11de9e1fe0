"""The asyncio shell of a replica: feeds it messages, time and syncs, and carries out its outbox.

Decides nothing about consensus. Files are touched by two threads only, one that writes and syncs
and one that makes room; the loop is woken by inputs and deadlines, never by a short tick.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping

from molecule.model.errors import BrokenInvariant, NoLeader, Overloaded
from molecule.raft.applying import Applier
from molecule.raft.configuration import Configuration
from molecule.raft.disk_work import DiskWork
from molecule.raft.generation import DataFolder
from molecule.raft.membership_calls import MembershipCalls
from molecule.raft.outbox import Outbox, Role, SnapshotMark
from molecule.raft.ports import (
    Metrics,
    NoMetrics,
    SnapshotSender,
    SnapshotStore,
    StateMachine,
    Transport,
)
from molecule.raft.replica import Replica
from molecule.raft.settings import Bounds, Timing
from molecule.raft.threads import Done, Threads
from molecule.raft.transfers import SnapshotTransfers
from molecule.raft.waiting import Waiting


class RaftDriver(MembershipCalls):
    """One voter or learner on one asyncio loop. All methods belong to that loop."""

    def __init__(
        self,
        *,
        folder: DataFolder,
        timing: Timing,
        snapshot: SnapshotMark | None,
        state_machine: StateMachine,
        transport: Transport,
        snapshot_sender: SnapshotSender,
        snapshot_store: SnapshotStore,
        on_fatal: Callable[[str], None],
        on_refused: Callable[[str], None] | None = None,
        on_installed: Callable[[SnapshotMark], None],
        metrics: Metrics | None = None,
        bounds: Bounds | None = None,
        proposals_max: int = 50_000,
        apply_slice_seconds: float = 0.005,
        addresses: Mapping[str, str] | None = None,
    ) -> None:
        """`addresses`: where the founders are, or those that a newcomer knows.

        Of no use once the log holds a configuration.
        """
        self._folder = folder
        self._timing, self._snapshot = timing, snapshot
        self._transport = transport
        self._transfers = SnapshotTransfers(folder, snapshot_sender, snapshot_store)
        self._on_fatal = on_fatal
        self._on_refused = on_refused or on_fatal
        """Told instead of `on_fatal` when starting again would end the same way."""
        self._on_installed = on_installed
        self._metrics = metrics or NoMetrics()
        self._bounds = bounds or Bounds()
        self._proposals_max = proposals_max
        self._addresses = dict(addresses or {})
        self._role_callbacks: list[Callable[[Role], None]] = []
        self._configuration_callbacks: list[Callable[[Configuration], None]] = []
        self._waiting = Waiting()
        self._applier = Applier(
            state_machine, self._waiting.applied, slice_seconds=apply_slice_seconds
        )
        self._is_started = self._is_running = False
        self._round_is_due = self._slice_is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")

    # --- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the journal and begin. Raises DamagedData. Links may be reported from now on."""
        self._loop = asyncio.get_running_loop()
        self._threads = Threads(self._loop)
        journal, self._files = await asyncio.to_thread(self._folder.open_journal, self._bounds)
        identity = self._folder.identity
        self._formation = identity.formation_of()
        self._replica = Replica(
            me=identity.node,
            formed=identity.formed_with(self._addresses),
            timing=self._timing,
            journal=journal,
            snapshot=self._snapshot,
            seed=secrets.randbits(63),
            now=self._loop.time(),
            bounds=self._bounds,
            formation=self._formation,
        )
        self._disk = DiskWork(
            replica=self._replica,
            folder=self._folder,
            threads=self._threads,
            metrics=self._metrics,
            now=self._loop.time,
            back=self._back,
            die=self._die,
        )
        self._applier.applied_index = journal.head.index
        self._is_started = self._is_running = True
        # Lives until stop(): transfers outlast any one call.
        self._sender = self._loop.create_task(
            self._transfers.send_all(journal.log.configuration_at, self._snapshot_ended),
            name="raft-snapshots",
        )
        self._wake()

    async def stop(self) -> None:
        """End at once; hand leadership over before, if that is wanted. Twice is no error."""
        if not self._is_started:
            return
        self._is_started = False
        self._end()
        self._sender.cancel()
        await asyncio.gather(self._sender, return_exceptions=True)
        await self._threads.stop()
        self._files.close()

    def _end(self) -> None:
        self._is_running = False
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.abandon()

    def _die(self, message: str, *, is_refused: bool = False) -> None:
        if self._is_running:
            self._end()
            (self._on_refused if is_refused else self._on_fatal)(message)

    # --- what it knows ------------------------------------------------------------------------

    @property
    def term(self) -> int:
        """Raft's term; for logs and metrics only."""
        return self._replica.term

    @property
    def is_leader(self) -> bool:
        """Whether this node won the newest election it knows of."""
        return self._replica.is_leader

    @property
    def leader_id(self) -> str | None:
        """The node that did, if known."""
        return self._replica.leader_id

    @property
    def commit_index(self) -> int:
        """The last index known to be committed."""
        return self._replica.commit_index

    @property
    def applied_index(self) -> int:
        """The last index the state machine has applied."""
        return self._applier.applied_index

    def age_s(self) -> float | None:
        """How old what was applied may be; None when no leader was heard yet."""
        return self._replica.age(self._loop.time(), self.applied_index)

    @property
    def is_formed(self) -> bool:
        """Whether this node takes part: the founders agreed, or the newcomer was admitted."""
        return self._folder.identity.formation.is_formed

    @property
    def waits_because(self) -> str | None:
        """Why a newcomer is not admitted yet, by the last member that it heard."""
        return self._formation.waits_because

    def on_role(self, callback: Callable[[Role], None]) -> None:
        """Call this, on the loop, after every change of term or leader."""
        self._role_callbacks.append(callback)

    # --- callers ------------------------------------------------------------------------------

    async def propose(self, data: bytes) -> object:
        """What `apply` returned for this entry here.

        Raises NoLeader, Overloaded, StorageFull or OutcomeUnknown.

        Only the last one leaves open whether it was, or will be, committed.
        """
        self._refuse_when_stopped()
        if self._waiting.count >= self._proposals_max:
            raise Overloaded("too many proposals wait for their commit", limit=self._proposals_max)
        ticket = self._waiting.next_ticket()
        self._replica.propose(data, ticket, self._loop.time())
        future: asyncio.Future[object] = self._loop.create_future()
        self._waiting.proposal(ticket, future, time.monotonic())
        self._wake()
        return await future

    async def barrier(self, *, at_once: bool = True) -> int:
        """An index that is applied here and at least as new as every commit before this call.

        Not `at_once`: a keep-alive later, without a message for it. Raises NoLeader.
        """
        self._refuse_when_stopped()
        ticket = self._waiting.next_ticket()
        self._replica.barrier(ticket, self._loop.time(), at_once=at_once)
        future: asyncio.Future[int] = self._loop.create_future()
        self._waiting.barrier(ticket, future)
        if at_once:
            self._wake()
        return await future

    async def until_applied(self, index: int) -> None:
        """Return when this node's state contains the entry `index`.

        Raises NoLeader when the node stops.
        """
        self._refuse_when_stopped()
        if index > self.applied_index:
            future: asyncio.Future[int] = self._loop.create_future()
            self._waiting.until_applied(index, future)
            await future

    def transfer(self, to: str | None = None) -> None:
        """As leader: ask this voter, or the most advanced one, to take over, soon.

        `on_role` tells when it did. Raises UnknownMember.
        """
        self._replica.transfer(self._loop.time(), to)
        self._wake()

    def saved(self, mark: SnapshotMark) -> None:
        """The state at this index is durable; the journal below it may go."""
        self._replica.snapshot_saved(mark, self._loop.time())
        self._wake()

    def _refuse_when_stopped(self) -> None:
        if not self._is_running:
            raise NoLeader("this node's part in consensus is not running")

    # --- links --------------------------------------------------------------------------------

    def link_up(self, peer: str, connection: int) -> None:
        """A link to a voter is open; numbers of one peer grow."""
        if self._is_running:
            self._replica.link_up(peer, connection, self._loop.time())
            self._wake()

    def link_down(self, peer: str, connection: int) -> None:
        """That link is closed."""
        if self._is_running:
            self._replica.link_down(peer, connection, self._loop.time())
            self._wake()

    def receive(self, peer: str, connection: int, frame: bytes) -> None:
        """A frame of an authenticated voter arrived on this link."""
        if not self._is_running:
            return
        try:
            if self._replica.receive(peer, connection, frame, self._loop.time()):
                self._wake()
        except (Exception, BrokenInvariant) as error:  # noqa: BLE001  # a half-done step of the core
            self._die(f"consensus failed on a frame of {peer}: {error!r}")

    # --- the round ----------------------------------------------------------------------------

    def _wake(self) -> None:
        """One round for all that comes in during this turn of the loop."""
        if not self._round_is_due and self._is_running:
            self._round_is_due = True
            self._loop.call_soon(self._round)

    def _round(self) -> None:
        self._round_is_due = False
        if not self._is_running:
            return
        try:
            self._carry_out(self._replica.round(self._loop.time()))
        except (Exception, BrokenInvariant) as error:  # noqa: BLE001  # nothing may go on after it
            self._die(f"consensus failed: {error!r}")

    def _carry_out(self, out: Outbox) -> None:
        if out.fatal is not None:
            self._die(out.fatal, is_refused=out.is_refused)
            return
        if out.sync_to is not None:
            self._disk.write()
        for frame in out.frames:
            self._transport.send(frame.peer, frame.connection, frame.data)
        if out.allocate:
            self._disk.make_room()
        if out.save_formation:
            self._disk.save_formation()
        for settled in out.settled:
            seconds = self._waiting.settled(settled, time.monotonic())
            if seconds is not None:
                self._metrics.committed(seconds)
        for answer in out.barriers:
            self._waiting.answered(answer, self.applied_index)
        for peer in out.snapshots_wanted:
            self._transfers.want(peer)
        if out.configuration is not None:
            self._tell(out.configuration)
        if out.role is not None:
            self._metrics.role_changed(out.role.term, out.role.leader)
            for callback in self._role_callbacks:
                callback(out.role)
        if out.committed:
            self._applier.extend(out.committed)
            if not self._slice_is_due:
                self._apply_slice()
        self._set_timer(out.wake_at)

    def _tell(self, configuration: Configuration) -> None:
        # A newcomer knows of nobody by the log yet, only whom it was told of.
        self._transport.follow(configuration.addresses or self._addresses)
        for callback in self._configuration_callbacks:
            callback(configuration)

    def _set_timer(self, wake_at: float) -> None:
        """Keep a timer that fires earlier.

        An early round costs less than a timer for each message.
        """
        if wake_at >= self._timer_at and self._timer_at > self._loop.time():
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = wake_at
        if wake_at < float("inf"):
            self._timer = self._loop.call_at(wake_at, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        self._wake()

    def _apply_slice(self) -> None:
        """Apply for a few milliseconds, then let the loop turn."""
        self._slice_is_due = False
        if not self._is_running:
            return
        try:
            self._slice_is_due = self._applier.apply_slice()
        except (Exception, BrokenInvariant) as error:  # noqa: BLE001  # replicas would differ
            self._die(f"entry {self.applied_index + 1} could not be applied: {error!r}")
            return
        self._waiting.reached(self.applied_index)
        if self._slice_is_due:
            self._loop.call_soon(self._apply_slice)

    # --- threads ------------------------------------------------------------------------------

    def _back(self, done: Done) -> Done:
        """Let a thread's result in, unless the driver stopped meanwhile."""

        def came_back(error: BaseException | None, took: float) -> None:
            if self._is_running:
                done(error, took)
                self._wake()

        return came_back

    # --- snapshots ----------------------------------------------------------------------------

    def _snapshot_ended(self, peer: str, arrived: bool) -> None:  # noqa: FBT001  # the answer
        if self._is_running:
            self._replica.snapshot_sent(peer, arrived, self._loop.time())
            self._wake()

    async def receive_snapshot(
        self, peer: str, mark: SnapshotMark, chunks: AsyncIterator[bytes]
    ) -> bool:
        """Take a snapshot that a peer offers; True when this node has that state, durably.

        After an install the driver stands still and `on_installed` was called: the process must
        start again. Raises what the chunks raise; then nothing was changed.
        """
        if not self._is_running:
            return False
        if not self._replica.snapshot_offered(mark):
            return True
        try:
            is_installed = await self._transfers.receive(self._replica, self._threads, mark, chunks)
        except OSError as error:
            if not self._replica.is_frozen:
                raise
            self._die(f"the snapshot of {peer} at {mark.index} could not be installed: {error}")
            return False
        if is_installed and self._is_running:
            self._end()
            self._on_installed(mark)
        return is_installed
