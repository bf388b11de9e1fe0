"""The shell around `AgentRounds`: heartbeats, the session with the leader, this node's workers.

It carries out what the rounds decide and hands them everything that happens. The session follows
the leader wherever it is; on the leader's own node it is a function call.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import structlog

from molecule.model.errors import MoleculeError
from molecule.node import idle, memory, starving
from molecule.node.agent_rounds import AgentRounds
from molecule.node.clock import ClusterClock, boottime_us, wall_ms
from molecule.node.control import Control, WorkerDied
from molecule.node.forwarder import Forwarder
from molecule.node.holdings import AgentOutbox
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w

_log = structlog.get_logger()

_STOPPED = (-signal.SIGTERM, -signal.SIGINT, 0)
"""Ends by which a worker was stopped from above, or ended by itself: the work is not to blame."""
_KILLS_EVERY_S = 1.0
"""How long a kill by the kernel explains the death of a worker, at least."""
_RETRY_S = 0.05
_RETRY_MAX_S = 0.5


class LeaderSession(Protocol):
    """An open session with one leader."""

    async def send(self, message: p.FromAgent) -> None:
        """Raises an error of the tree when the session is broken."""
        ...

    def incoming(self) -> AsyncIterator[p.ToAgent]:
        """What the leader says, until the session breaks."""
        ...

    async def carry(self) -> None:
        """What must run for as long as the session is open; raises when it ends."""
        ...

    def close(self) -> None:
        """Give the stream back; harmless when it is broken already."""
        ...


OpenSession = Callable[[str], Awaitable[LeaderSession]]


class Agent:
    """Runs the assignments of this node. One per life of the node process."""

    def __init__(
        self,
        *,
        rounds: AgentRounds,
        registration: c.RegisterNode,
        heartbeat_s: float,
        report_s: float,
        memory_sample_s: float,
        control: Control,
        forwarder: Forwarder,
        leader: Callable[[], str | None],
        open_session: OpenSession,
        send_worker: Callable[[str, w.ToWorker], None],
        on_worker_death: Callable[[str], None],
        on_fatal: Callable[[str], None],
        on_refused: Callable[[str], None],
        disk: Callable[[], p.Heartbeat.Disk | None] = lambda: None,
        wall: Callable[[], int] = wall_ms,
    ) -> None:
        self._clock: ClusterClock | None = None
        self._wall = wall
        self._on_refused = on_refused
        self.rounds = rounds
        self._registration = registration
        self._heartbeat_s = heartbeat_s
        self._report_s = report_s
        self._memory_sample_s = memory_sample_s
        self._memory = memory.KernelKills()
        self._starving = starving.Starving(lease_us=rounds.lease_us)
        self._control = control
        self._forwarder = forwarder
        self._leader = leader
        self._open_session = open_session
        self._send_worker = send_worker
        self._disk = disk
        self._on_worker_death = on_worker_death
        self._on_fatal = on_fatal
        self._leader_changed = asyncio.Event()
        self._register_now = asyncio.Event()
        self._register_now.set()
        self._beat_now = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._starts: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self._kills: asyncio.Queue[str] = asyncio.Queue()
        self._groups: asyncio.Queue[list[c.Command]] = asyncio.Queue()

    async def run(self) -> None:
        """Until cancelled; the line to the supervisor ends with it."""
        with contextlib.closing(self._control):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_leader())
                group.create_task(self._keep_registered())
                group.create_task(self._start_workers())
                group.create_task(self._kill_workers())
                group.create_task(self._hear_deaths())
                group.create_task(self._watch_memory())
                group.create_task(self._report())
                group.create_task(self._turn())

    def keep_time(self, clock: ClusterClock) -> None:
        """Pass what leaders say of the cluster's time to this clock."""
        self._clock = clock

    # ---- what others tell the agent

    def leader_changed(self) -> None:
        """The known leader is another one, or none."""
        self._leader_changed.set()

    def worker_ready(self, worker: str) -> None:
        """A worker opened its stream."""
        self.obey(self.rounds.worker_ready(worker, now_us=boottime_us()))

    def want_worker(self) -> None:
        """Somebody waits for a worker to ask."""
        self.obey(self.rounds.want_worker(now_us=boottime_us()))

    def ended(self, execution: str, token: int) -> None:
        """A worker's word ended this assignment, or was refused as stale."""
        self.obey(self.rounds.ended(execution, token, now_us=boottime_us()))

    async def emptied(self) -> None:
        """Return when the node drains and holds nothing any more."""
        self._look_whether_empty()
        await self._is_empty.wait()

    def _look_whether_empty(self) -> None:
        if self.rounds.draining.is_on and self.rounds.is_empty:
            self._is_empty.set()
        else:
            self._is_empty.clear()

    def obey(self, out: AgentOutbox) -> None:
        """Carry out what a round decided."""
        self._look_whether_empty()
        for start in out.start_workers:
            self._starts.put_nowait(start)
        for worker in out.kill_workers:
            self._kills.put_nowait(worker)
        for worker, message in out.to_workers:
            self._send_worker(worker, message)
        for group in out.groups:
            self._groups.put_nowait(group)
        if out.register:
            self._register_now.set()
        if out.fatal is not None:
            self._on_fatal(out.fatal)

    # ---- the session with the leader

    async def _follow_leader(self) -> None:
        pause_s = _RETRY_S
        while True:
            self._leader_changed.clear()
            leader = self._leader()
            if leader is None:
                await self._leader_changed.wait()
                continue
            try:
                async with asyncio.TaskGroup() as group:
                    session = await self._open_session(leader)
                    tasks = [
                        group.create_task(session.carry()),
                        group.create_task(self._beat(session)),
                        group.create_task(self._hear(session)),
                    ]
                    await self._leader_changed.wait()
                    for task in tasks:
                        task.cancel()
                pause_s = _RETRY_S
            except* MoleculeError as broken:
                _log.info("session_broken", leader=leader, reason=str(broken.exceptions[0]))
                # The leader is gone and nobody has said so yet: ask less and less often.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._leader_changed.wait()
                pause_s = min(pause_s * 2, _RETRY_MAX_S)

    async def _beat(self, session: LeaderSession) -> None:
        while True:
            self._beat_now.clear()
            beat = self.rounds.heartbeat(
                now_us=boottime_us(), slots=self._registration.slots, wall_clock_ms=self._wall()
            )
            disk = self._disk()
            if disk is not None:
                beat.disk.CopyFrom(disk)
            await session.send(p.FromAgent(heartbeat=beat))
            try:
                async with asyncio.timeout(self._until_next_beat_s()):
                    await self._beat_now.wait()
            except TimeoutError:
                continue

    def _until_next_beat_s(self) -> float:
        rounds = self.rounds
        is_idle = rounds.is_empty and not rounds.draining.is_on
        return idle.beat_every_s(self._heartbeat_s, lease_us=rounds.lease_us, is_idle=is_idle)

    async def _hear(self, session: LeaderSession) -> None:
        try:
            async for message in session.incoming():
                now_us = boottime_us()
                self.obey(self.rounds.heard_leader(message, now_us=now_us))
                if self._clock is not None:
                    self._clock.heed(self.rounds.cluster_time_ms, at_us=now_us)
        finally:
            session.close()

    async def _keep_registered(self) -> None:
        while True:
            await self._register_now.wait()
            self._register_now.clear()
            command = c.Command(version=1, register_node=self._registration)
            try:
                result = await self._forwarder.insist([command], within_s=self._report_s)
            except MoleculeError as error:
                _log.info("registration_delayed", reason=error.message)
                # Whoever refuses at once, a leader of another version say, is not to be stormed.
                await asyncio.sleep(_RETRY_MAX_S)
                self._register_now.set()
                continue
            (outcome,) = result.outcomes
            value = getattr(outcome, "value", 0)
            if value:
                self.rounds.registered(value)
                _log.info("node_registered", incarnation=value)
                self._beat_now.set()
            else:
                self._refused_because(outcome)

    def _refused_because(self, outcome: object) -> None:
        if getattr(outcome, "reason", "") == "removed":
            self._on_refused("it was removed from the cluster; a join token lets it in again")
        else:
            self._on_fatal(f"the cluster refused this node: {outcome}")

    # ---- workers

    async def _start_workers(self) -> None:
        while True:
            worker, memory_bytes_max = await self._starts.get()
            await self._control.start_worker(worker, memory_bytes_max=memory_bytes_max)

    async def _kill_workers(self) -> None:
        while True:
            worker = await self._kills.get()
            seat = self.rounds.seats.get(worker)
            if seat is not None and seat.cause:
                _log.warning("worker_killed", worker=worker, cause=seat.cause)
            await self._control.kill_worker(worker)

    async def _hear_deaths(self) -> None:
        async for died in self._control.deaths():
            now_us = boottime_us()
            is_starved = self._starving.take_out(died.worker, now_us=now_us)
            to_blame = died.exit_code not in _STOPPED and self.rounds.is_to_blame(
                died.worker,
                by_lease=died.exit_code == -signal.SIGALRM,
                is_starved=is_starved,
                now_us=now_us,
            )
            if to_blame:
                _log.warning("worker_died", worker=died.worker, exit=died.exit_code)
            self._on_worker_death(_told(died.exit_code))
            out = self.rounds.worker_died(
                died.worker,
                evidence=f"pid {died.pid} ended with {_told(died.exit_code)}",
                charges=to_blame,
                now_us=now_us,
                cause=self._cause(died, to_blame=to_blame, is_starved=is_starved),
            )
            self.obey(out)
        self._on_fatal("the supervisor is gone")

    def _cause(self, died: WorkerDied, *, to_blame: bool, is_starved: bool) -> str:
        """Why it died, as far as it can be told from outside."""
        if died.exit_code == -signal.SIGALRM:
            not_stuck = "starved" if is_starved else "lease"
            return "stuck" if to_blame else not_stuck
        killed = died.exit_code == -signal.SIGKILL
        return "memory" if killed and (died.out_of_memory or self._memory.kernel_killed()) else ""

    async def _watch_memory(self) -> None:
        looked_us = 0
        while True:
            is_idle = self.rounds.is_empty
            await asyncio.sleep(self._memory_sample_s * (idle.LESS_OFTEN if is_idle else 1))
            if boottime_us() - looked_us >= _KILLS_EVERY_S * 1_000_000:
                looked_us = boottime_us()
                self._memory.note_kills()
            for worker, pid in list(self._control.pids.items()):
                memory_bytes = memory.resident_bytes(pid)
                now_us = boottime_us()
                self.obey(self.rounds.measured(worker, memory_bytes, now_us=now_us))
                if self._starving.is_due(worker, is_idle=is_idle, now_us=now_us):
                    times = starving.read(pid)
                    if times is not None:
                        self._starving.note(worker, times, now_us=now_us)

    async def _report(self) -> None:
        while True:
            group = await self._groups.get()
            # Until it is known: meanwhile nobody may run what the dead worker held.
            while not await self._told(group):
                pass
            for command in group:
                self.rounds.told(command)
            self._look_whether_empty()

    async def _told(self, group: list[c.Command]) -> bool:
        try:
            await self._forwarder.insist(group, within_s=self._report_s)
        except MoleculeError as error:
            _log.warning("report_undelivered", reason=error.message)
            await asyncio.sleep(_RETRY_MAX_S)
            return False
        return True

    async def _turn(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            self.obey(self.rounds.round(now_us=boottime_us()))


def _told(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
