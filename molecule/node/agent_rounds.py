"""What an agent decides: which worker runs what, until when, and what the leader must be told.

Pure: messages and instants come in, an `AgentOutbox` goes out; `agent.py` carries it out. What must
stay true: a lease is counted from the moment the heartbeat was *sent*, is renewed only by the
highest epoch heard so far, and never goes back.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from molecule.config import Limits
from molecule.node import agent_draining as draining
from molecule.node.agent_draining import Draining
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w

_SILENT_LEASES = 2
"""After so many leases without a sign of life a worker is killed."""
_START_BACKOFF_US = 200_000
_START_BACKOFF_MAX_US = 5_000_000

TriggerName = tuple[str, str]
"""Environment and process: a process has one trigger."""


@dataclass(slots=True)
class Held:
    """An assignment of this node; `worker` is None while none is ready."""

    run: w.RunExecution
    worker: str | None = None
    running_step: str = ""


@dataclass(slots=True)
class HeldTrigger:
    """A trigger that this node was told to run."""

    run: w.RunTrigger
    worker: str | None = None


@dataclass(slots=True)
class Seat:
    """One worker as the agent sees it, from the request to start it until its death."""

    worker: str
    ready: bool = False
    heard_at_us: int = 0
    """Last sign of life; until it is ready, when its start was asked for."""
    end_asked_at_us: int = 0
    executions: set[str] = field(default_factory=set)


@dataclass(slots=True)
class AgentOutbox:
    """What the shell must do now, in this order."""

    start_workers: list[str] = field(default_factory=list)
    kill_workers: list[str] = field(default_factory=list)
    to_workers: list[tuple[str, w.ToWorker]] = field(default_factory=list)
    groups: list[list[c.Command]] = field(default_factory=list)
    """Each to be proposed until it has an outcome."""
    register: bool = False
    fatal: str | None = None


class AgentRounds:
    """The agent of one life of a node process. Only `agent.py` calls it, from one loop."""

    def __init__(
        self, *, node: str, life: str, workers_max: int, lease_us: int, limits: Limits
    ) -> None:
        self._node = node
        self._life = life
        self._workers_max = workers_max
        self._lease_us = lease_us
        self._beats_max = limits.heartbeats_remembered_max
        self._start_us = limits.worker_start_ms_max * 1000
        self._sent: OrderedDict[int, int] = OrderedDict()
        self._number = 0
        self._started = 0
        self._deaths_in_a_row = 0
        self._start_not_before_us = 0
        self.incarnation = 0
        self.epoch = 0
        self.lease_until_us = 0
        self.cluster_time_ms = 0
        self.held: dict[str, Held] = {}
        self._waiting: dict[str, Held] = {}
        self._spent: dict[str, int] = {}
        """Executions whose worker died and whose loss is not committed yet: not to be run here."""
        self.triggers: dict[TriggerName, HeldTrigger] = {}
        self.seats: dict[str, Seat] = {}
        self.worker_wanted = False
        self.draining = Draining(grace_us=lease_us)

    # ---- the leader's side

    def heartbeat(self, *, now_us: int, slots: int, wall_clock_ms: int) -> p.Heartbeat:
        """The next heartbeat; its lease will count from `now_us`."""
        self._number += 1
        self._sent[self._number] = now_us
        while len(self._sent) > self._beats_max:
            self._sent.popitem(last=False)
        return p.Heartbeat(
            number=self._number,
            life=self._life,
            incarnation=self.incarnation,
            slots_free=max(0, slots - len(self.held)),
            held=[
                p.Heartbeat.Held(execution=execution, token=held.run.token)
                for execution, held in self.held.items()
            ],
            triggers=[
                p.Heartbeat.HeldTrigger(
                    environment=held.run.environment,
                    process=held.run.process,
                    token=held.run.token,
                )
                for held in self.triggers.values()
            ],
            wall_clock_ms=wall_clock_ms,
        )

    def heard_leader(self, message: p.ToAgent, *, now_us: int) -> AgentOutbox:
        """Anything that the leader sent on the session."""
        out = AgentOutbox()
        match message.WhichOneof("kind"):
            case "heartbeat":
                if self._renew(message.heartbeat, out):
                    self.draining.heard(message.heartbeat, now_us=now_us)
            case "run":
                self._take(message.run, out)
            case "stop":
                self._drop(message.stop, out)
            case "run_trigger":
                self._take_trigger(message.run_trigger, out)
            case "stop_trigger":
                self._drop_trigger(message.stop_trigger, out)
        self._hand_back(out, now_us=now_us)
        self._seat_waiting(out, now_us=now_us)
        return out

    def registered(self, incarnation: int) -> None:
        """The registration of this life committed."""
        self.incarnation = incarnation

    def _renew(self, reply: p.HeartbeatReply, out: AgentOutbox) -> bool:
        """True when the leader of the highest epoch speaks to this very life."""
        sent_us = self._sent.pop(reply.number, None)
        # A deposed leader may still answer; its word must not stretch what the new one has ended.
        if sent_us is None or reply.epoch < self.epoch:
            return False
        self.epoch = reply.epoch
        if reply.superseded:
            out.fatal = (
                f"another process runs as node {self._node}: a newer life is registered. "
                "Stop one of the two; each node needs an id and a data folder of its own"
            )
            return False
        if reply.incarnation != self.incarnation:
            out.register = True
        if reply.incarnation == 0 or reply.incarnation != self.incarnation:
            return False
        self.cluster_time_ms = max(self.cluster_time_ms, reply.cluster_time_ms)
        # The leader's settings count: while they are being changed, the node's may be others.
        until = sent_us + min(reply.lease_ms * 1000, self._lease_us)
        if until > self.lease_until_us:
            self.lease_until_us = until
            for seat in self.seats.values():
                if seat.ready:
                    out.to_workers.append((seat.worker, self._lease_message()))
        return True

    def _lease_message(self) -> w.ToWorker:
        return w.ToWorker(lease=w.LeaseRenewal(until_boottime_us=self.lease_until_us))

    def _take(self, run: w.RunExecution, out: AgentOutbox) -> None:
        # The leader does not know yet that the worker died. What it began may still arrive at its
        # target, so another worker must not go on under the same token.
        if self._spent.get(run.execution, 0) >= run.token:
            return
        held = self.held.get(run.execution)
        if held is not None:
            if held.run.token >= run.token:
                return
            self._stop_held(held, "superseded", out)
        self.held[run.execution] = self._waiting[run.execution] = Held(run)

    def _drop(self, stop: w.StopExecution, out: AgentOutbox) -> None:
        held = self.held.get(stop.execution)
        if held is not None and held.run.token <= stop.token:
            self._stop_held(held, stop.reason, out)

    def _stop_held(self, held: Held, reason: str, out: AgentOutbox) -> None:
        self.held.pop(held.run.execution, None)
        self._waiting.pop(held.run.execution, None)
        if held.worker is None or (seat := self.seats.get(held.worker)) is None:
            return
        seat.executions.discard(held.run.execution)
        stop = w.StopExecution(execution=held.run.execution, token=held.run.token, reason=reason)
        out.to_workers.append((seat.worker, w.ToWorker(stop=stop)))

    def _take_trigger(self, run: w.RunTrigger, out: AgentOutbox) -> None:
        name = (run.environment, run.process)
        held = self.triggers.get(name)
        if held is not None:
            if held.run.token >= run.token:
                return
            self._stop_trigger(held, out)
        self.triggers[name] = HeldTrigger(run)

    def _drop_trigger(self, stop: w.StopTrigger, out: AgentOutbox) -> None:
        held = self.triggers.get((stop.environment, stop.process))
        if held is not None and held.run.token <= stop.token:
            self._stop_trigger(held, out)

    def _stop_trigger(self, held: HeldTrigger, out: AgentOutbox) -> None:
        self.triggers.pop((held.run.environment, held.run.process), None)
        if held.worker is not None and held.worker in self.seats:
            stop = w.StopTrigger(
                environment=held.run.environment, process=held.run.process, token=held.run.token
            )
            out.to_workers.append((held.worker, w.ToWorker(stop_trigger=stop)))

    def _hand_back(self, out: AgentOutbox, *, now_us: int) -> None:
        """While the node drains: let nothing begin here, and have the rest given back."""
        if not self.draining.is_on:
            return
        for execution, held in self._waiting.items():
            # Not told again before the cluster knows, or it would be delivered here once more.
            del self.held[execution]
            self._spent[execution] = held.run.token
            out.groups.append([draining.given_back(held.run)])
        self._waiting.clear()
        tokens = {name: held.run.token for name, held in self.held.items()}
        for name, token, at_once in self.draining.due(tokens, now_us=now_us):
            seat = self.held[name].worker
            order = w.HandBack(execution=name, token=token, at_once=at_once)
            if seat is not None:
                out.to_workers.append((seat, w.ToWorker(hand_back=order)))
        if self.draining.is_overdue(now_us=now_us):
            busy = {held.worker for held in self.held.values() if held.worker is not None}
            out.kill_workers.extend(sorted(busy))

    # ---- the workers' side

    def want_worker(self, *, now_us: int) -> AgentOutbox:
        """Somebody needs a worker for something that is no assignment (a check, a door)."""
        out = AgentOutbox()
        self.worker_wanted = True
        self._seat_waiting(out, now_us=now_us)
        return out

    def worker_ready(self, worker: str, *, now_us: int) -> AgentOutbox:
        """A worker opened its stream."""
        out = AgentOutbox()
        seat = self.seats.setdefault(worker, Seat(worker))
        seat.ready = True
        seat.heard_at_us = now_us
        self.worker_wanted = False
        if self.lease_until_us > 0:
            out.to_workers.append((worker, self._lease_message()))
        self._seat_waiting(out, now_us=now_us)
        return out

    def worker_status(self, worker: str, status: w.WorkerStatus, *, now_us: int) -> None:
        """Which steps run there; evidence for the case of its death."""
        seat = self.seats.get(worker)
        if seat is None:
            return
        seat.heard_at_us = now_us
        self._deaths_in_a_row = 0
        for running in status.running:
            held = self.held.get(running.execution)
            if held is not None and held.run.token == running.token:
                held.running_step = running.step

    def worker_died(self, worker: str, *, evidence: str, charges: bool, now_us: int) -> AgentOutbox:
        """It was reaped. `charges` is False when its lease ended it, not its work."""
        out = AgentOutbox()
        self.seats.pop(worker, None)
        lost = [held for held in self.held.values() if held.worker == worker]
        for held in lost:
            del self.held[held.run.execution]
            self._spent[held.run.execution] = held.run.token
        for name in [name for name, held in self.triggers.items() if held.worker == worker]:
            self.triggers[name].worker = None
        charges = charges and not self.draining.is_overdue(now_us=now_us)
        self._deaths_in_a_row += 1
        delay = min(_START_BACKOFF_US * 2 ** min(self._deaths_in_a_row, 8), _START_BACKOFF_MAX_US)
        self._start_not_before_us = now_us + (0 if self._deaths_in_a_row == 1 else delay)
        if lost:
            report = c.ReportWorkerDeath(
                node=self._node,
                incarnation=self.incarnation,
                worker=worker,
                evidence=evidence,
                held=[
                    c.ReportWorkerDeath.Held(
                        execution=held.run.execution,
                        token=held.run.token,
                        running_step=held.running_step if charges else "",
                        alone=held.run.alone,
                    )
                    for held in lost
                ],
            )
            out.groups.append([c.Command(version=1, report_worker_death=report)])
        self._seat_waiting(out, now_us=now_us)
        return out

    def told(self, command: c.Command) -> None:
        """A word of this node has an outcome: what it gave away has another token now."""
        given: list[c.ReportWorkerDeath.Held | c.EndAttempt] = [
            *command.report_worker_death.held,
            command.end_attempt,
        ]
        for word in given:
            if self._spent.get(word.execution) == word.token:
                del self._spent[word.execution]

    def ended(self, execution: str, token: int) -> None:
        """The worker's word ended this assignment, or was refused as stale."""
        held = self.held.get(execution)
        if held is None or held.run.token != token:
            return
        del self.held[execution]
        self._waiting.pop(execution, None)
        if held.worker is not None and (seat := self.seats.get(held.worker)) is not None:
            seat.executions.discard(execution)

    def trigger_undelivered(self, run: w.RunTrigger) -> None:
        """No worker was told to run this trigger, so it is not held."""
        held = self.triggers.get((run.environment, run.process))
        if held is not None and held.run.token == run.token:
            del self.triggers[run.environment, run.process]

    @property
    def is_empty(self) -> bool:
        """True while nothing is assigned to this node, as far as the agent knows."""
        return not (self.held or self._spent or self.triggers)

    def holds(self, execution: str, token: int) -> bool:
        """True while this very assignment is this node's, as far as the agent knows."""
        held = self.held.get(execution)
        return held is not None and held.run.token == token

    def round(self, *, now_us: int) -> AgentOutbox:
        """What time alone brings: a worker that may be started again, one that is silent."""
        out = AgentOutbox()
        for seat in self.seats.values():
            # Stopped or stuck: it renews nothing, so its work would wait for it without end.
            allowed_us = self._lease_us * _SILENT_LEASES if seat.ready else self._start_us
            if now_us - seat.heard_at_us <= allowed_us:
                continue
            out.kill_workers.append(seat.worker)
            seat.end_asked_at_us = seat.end_asked_at_us or now_us
            if now_us - seat.end_asked_at_us > self._lease_us * _SILENT_LEASES:
                # Heartbeats would go on and keep its work here, although nobody does it.
                out.fatal = f"worker {seat.worker} is silent and the supervisor does not end it"
        self._hand_back(out, now_us=now_us)
        self._seat_waiting(out, now_us=now_us)
        return out

    def _seat_waiting(self, out: AgentOutbox, *, now_us: int) -> None:
        """Give what waits to the least busy ready worker; ask for workers if there are too few."""
        triggers = [held for held in self.triggers.values() if held.worker is None]
        if (self._waiting or triggers) and (
            ready := [seat for seat in self.seats.values() if seat.ready]
        ):
            for execution, held in self._waiting.items():
                seat = min(ready, key=_busyness)
                seat.executions.add(execution)
                held.worker = seat.worker
                out.to_workers.append((seat.worker, w.ToWorker(run=held.run)))
            self._waiting.clear()
            for trigger in triggers:
                trigger.worker = min(ready, key=_busyness).worker
                out.to_workers.append((trigger.worker, w.ToWorker(run_trigger=trigger.run)))
        needed = self.held or self.triggers or self.worker_wanted
        if needed and len(self.seats) < self._workers_max and now_us >= self._start_not_before_us:
            self._started += 1
            worker = f"w{self._started}"
            self.seats[worker] = Seat(worker, heard_at_us=now_us)
            out.start_workers.append(worker)


def _busyness(seat: Seat) -> tuple[int, str]:
    return len(seat.executions), seat.worker
