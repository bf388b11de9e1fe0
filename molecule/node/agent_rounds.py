"""What an agent decides: which worker runs what, until when, and what the leader must be told.

Pure: messages and instants come in, an `AgentOutbox` goes out; `agent.py` carries it out. What must
stay true: a lease is counted from the moment the heartbeat was *sent*, is renewed only by the
highest epoch heard so far, and never goes back.
"""

from collections import OrderedDict

from molecule.config import Limits
from molecule.node import agent_draining as draining
from molecule.node import holdings
from molecule.node.agent_draining import Draining
from molecule.node.holdings import AgentOutbox, Held, HeldTrigger, TriggerName, death_report
from molecule.node.seats import Assignment, Seat, Seats
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w

_NOT_RUN = "its worker does not run it"


class AgentRounds:
    """The agent of one life of a node process. Only `agent.py` calls it, from one loop."""

    def __init__(
        self, *, node: str, life: str, seats: Seats, lease_us: int, limits: Limits
    ) -> None:
        self._node = node
        self._life = life
        self.lease_us = lease_us
        self._beats_max = limits.heartbeats_remembered_max
        self._sent: OrderedDict[int, int] = OrderedDict()
        self._number = 0
        self.incarnation = 0
        self.epoch = 0
        self.lease_until_us = 0
        self.cluster_time_ms = 0
        self.headroom_heard = (0, "")
        """The level of the fullest voter and which one it is, as the leader told it last."""
        self.held: dict[str, Held] = {}
        self._waiting: dict[str, Held] = {}
        self._spent: dict[str, int] = {}
        """Executions whose worker died and whose loss is not committed yet: not to be run here."""
        self.triggers: dict[TriggerName, HeldTrigger] = {}
        self.seats = seats
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
            triggers=holdings.triggers_for_leader(self.triggers),
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
                self._take(message.run, out, now_us=now_us)
            case "stop":
                self._drop(message.stop, out, now_us=now_us)
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
        self.headroom_heard = (reply.headroom_level, reply.fullest_node)
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
        until = sent_us + min(reply.lease_ms * 1000, self.lease_us)
        if until > self.lease_until_us:
            self.lease_until_us = until
            for seat in self.seats:
                if seat.ready:
                    out.to_workers.append((seat.worker, self._lease_message()))
        return True

    def _lease_message(self) -> w.ToWorker:
        until_us, time_ms = self.lease_until_us, self.cluster_time_ms
        renewal = w.LeaseRenewal(until_boottime_us=until_us, cluster_time_ms=time_ms)
        return w.ToWorker(lease=renewal)

    def _take(self, run: w.RunExecution, out: AgentOutbox, *, now_us: int) -> None:
        # The leader does not know yet that the worker died. What it began may still arrive at its
        # target, so another worker must not go on under the same token.
        if self._spent.get(run.execution, 0) >= run.token:
            return
        held = self.held.get(run.execution)
        if held is not None:
            if held.run.token >= run.token:
                return
            self._stop_held(held, "superseded", out, now_us=now_us)
        self.held[run.execution] = self._waiting[run.execution] = Held(run)

    def _drop(self, stop: w.StopExecution, out: AgentOutbox, *, now_us: int) -> None:
        held = self.held.get(stop.execution)
        if held is not None and held.run.token <= stop.token:
            self._stop_held(held, stop.reason, out, now_us=now_us)

    def _stop_held(self, held: Held, reason: str, out: AgentOutbox, *, now_us: int) -> None:
        self.held.pop(held.run.execution, None)
        self._waiting.pop(held.run.execution, None)
        seat = self.seats.get(held.worker) or self._own_seat(held)
        if seat is None:
            return
        seat.executions.pop(held.run.execution, None)
        if not seat.is_shared:
            # Whatever it is busy with: nothing else is in it.
            seat.leave(now_us=now_us)
            out.kill_workers.append(seat.worker)
            return
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
        if held.worker is not None and self.seats.get(held.worker) is not None:
            stop = w.StopTrigger(
                environment=held.run.environment, process=held.run.process, token=held.run.token
            )
            out.to_workers.append((held.worker, w.ToWorker(stop_trigger=stop)))

    def _hand_back(self, out: AgentOutbox, *, now_us: int) -> None:
        """While the node drains: let nothing begin here, and have the rest given back."""
        if not self.draining.is_on:
            return
        for execution, held in self._waiting.items():
            own = self._own_seat(held)
            if own is not None:
                own.leave(now_us=now_us)
                out.kill_workers.append(own.worker)
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
        seat = self.seats.ready(worker, now_us=now_us)
        self.worker_wanted = self.worker_wanted and not seat.is_shared
        if seat.is_leaving:
            out.to_workers.append((worker, w.ToWorker(shutdown=w.Shutdown())))
        elif self.lease_until_us > 0:
            out.to_workers.append((worker, self._lease_message()))
        self._seat_waiting(out, now_us=now_us)
        return out

    def worker_status(self, worker: str, status: w.WorkerStatus, *, now_us: int) -> AgentOutbox:
        """Which steps run there: evidence for the case of its death, compared with what is held."""
        out = AgentOutbox()
        seat = self.seats.heard(worker, now_us=now_us)
        if seat is None:
            return out
        for running in status.running:
            held = self.held.get(running.execution)
            if held is not None and held.run.token == running.token:
                held.running_step = running.step
                seat.seen.add((running.execution, running.token))
        if status.complete:
            holdings.note_triggers(self.triggers, worker, status.triggers)
            self._compare(seat, status, out, now_us=now_us)
        return out

    def _compare(
        self, seat: Seat, status: w.WorkerStatus, out: AgentOutbox, *, now_us: int
    ) -> None:
        """Stop what it should not run; what it should run and does not is lost, charging nobody."""
        runs = {(running.execution, running.token) for running in status.running}
        for execution, token in sorted(runs):
            held = self.held.get(execution)
            if held is None or held.run.token != token or held.worker != seat.worker:
                stop = w.StopExecution(execution=execution, token=token, reason="not_held")
                out.to_workers.append((seat.worker, w.ToWorker(stop=stop)))
        tokens = {execution: self.held[execution].run.token for execution in seat.executions}
        gone = [self.held[name] for name in self.seats.gone(seat, runs, tokens, now_us=now_us)]
        for held in gone:
            self._let_go(held)
        if gone:
            self._report(seat, gone, _NOT_RUN, out, charges=False)

    def _let_go(self, held: Held) -> None:
        """Not to be run here any more under its token, whoever delivers it again."""
        del self.held[held.run.execution]
        self._spent[held.run.execution] = held.run.token

    def worker_died(
        self, worker: str, *, evidence: str, charges: bool, now_us: int, cause: str = ""
    ) -> AgentOutbox:
        """It was reaped. `charges` is False when its lease ended it, not its work."""
        out = AgentOutbox()
        seat = self.seats.died(worker, now_us=now_us)
        seat.cause = seat.cause or cause
        lost = [held for held in self.held.values() if held.worker == worker]
        for held in lost:
            self._let_go(held)
        for name in [name for name, held in self.triggers.items() if held.worker == worker]:
            self.triggers[name].worker = None
        charges = charges and not self.draining.is_overdue(now_us=now_us)
        if lost:
            self._report(seat, lost, evidence, out, charges=charges)
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

    def _report(
        self, seat: Seat, lost: list[Held], evidence: str, out: AgentOutbox, *, charges: bool
    ) -> None:
        report = death_report(seat, lost, charges=charges)
        report.node, report.incarnation, report.evidence = self._node, self.incarnation, evidence
        out.groups.append([c.Command(version=1, report_worker_death=report)])

    def ended(self, execution: str, token: int, *, now_us: int) -> AgentOutbox:
        """The worker's word ended this assignment, or was refused as stale."""
        out = AgentOutbox()
        held = self.held.get(execution)
        if held is None or held.run.token != token:
            return out
        del self.held[execution]
        self._waiting.pop(execution, None)
        seat = self.seats.get(held.worker) or self._own_seat(held)
        if seat is not None:
            seat.executions.pop(execution, None)
            if not seat.is_shared:
                seat.leave(now_us=now_us)
                out.to_workers.append((seat.worker, w.ToWorker(shutdown=w.Shutdown())))
        self._seat_waiting(out, now_us=now_us)
        return out

    def _own_seat(self, held: Held) -> Seat | None:
        """The worker that was started for it alone, ready or not."""
        name = (held.run.execution, held.run.token)
        return next((seat for seat in self.seats if seat.alone_for == name), None)

    def measured(self, worker: str, memory_bytes: int, *, now_us: int) -> AgentOutbox:
        """So much memory a worker has now; over its limit it is killed."""
        out = AgentOutbox()
        if self.seats.measure(worker, memory_bytes, now_us=now_us):
            out.kill_workers.append(worker)
        return out

    def is_to_blame(self, worker: str, *, by_lease: bool, now_us: int, is_starved: bool) -> bool:
        """Whether a death is the fault of what ran there; `by_lease`: its own timer ended it.

        One whose timer fires although the node holds its lease took no renewals, as one that says
        nothing for too long: something in it was stuck, unless it had no processor.
        """
        seat = self.seats.get(worker)
        if seat is None or seat.is_leaving or (is_starved and (by_lease or seat.cause == "silent")):
            return False
        return not by_lease or now_us < self.lease_until_us

    def trigger_undelivered(self, run: w.RunTrigger) -> None:
        """No worker was told to run this trigger, so it is not held."""
        held = self.triggers.get((run.environment, run.process))
        if held is not None and held.run.token == run.token:
            del self.triggers[run.environment, run.process]

    @property
    def is_empty(self) -> bool:
        """True while nothing is assigned to this node, as far as the agent knows."""
        return not (self.held or self._spent or self.triggers)

    def is_shared(self, worker: str) -> bool:
        """True when a worker may be asked for anything beside the executions it runs."""
        seat = self.seats.get(worker)
        return seat is not None and seat.is_shared

    def holds(self, execution: str, token: int) -> bool:
        """True while this very assignment is this node's, as far as the agent knows."""
        held = self.held.get(execution)
        return held is not None and held.run.token == token

    def round(self, *, now_us: int) -> AgentOutbox:
        """What time alone brings: a worker that may be started again, one that is silent."""
        out = AgentOutbox()
        for seat in self.seats.silent(now_us=now_us):
            out.kill_workers.append(seat.worker)
            if self.seats.outlives_its_end(seat, now_us=now_us):
                # Heartbeats would go on and keep its work here, although nobody does it.
                out.fatal = f"worker {seat.worker} is silent and the supervisor does not end it"
        self._hand_back(out, now_us=now_us)
        self._seat_waiting(out, now_us=now_us)
        return out

    def _seat_waiting(self, out: AgentOutbox, *, now_us: int) -> None:
        """Give what waits to ready workers; ask for workers if there are too few."""
        waiting_alone: list[Assignment] = []
        for execution, held in list(self._waiting.items()):
            name = (execution, held.run.token)
            seat = self.seats.choose(name, alone=held.run.alone)
            if seat is not None:
                del self._waiting[execution]
                seat.executions[execution] = now_us
                held.worker = seat.worker
                out.to_workers.append((seat.worker, w.ToWorker(run=held.run)))
            elif held.run.alone:
                waiting_alone.append(name)
        for trigger in self.triggers.values():
            if trigger.worker is not None:
                continue
            seat = self.seats.choose(("", 0), alone=False)
            if seat is not None:
                trigger.worker = seat.worker
                out.to_workers.append((seat.worker, w.ToWorker(run_trigger=trigger.run)))
        shared = any(not held.run.alone for held in self.held.values())
        is_needed = bool(shared or self.triggers or self.worker_wanted)
        for worker in self.seats.to_start(waiting_alone, is_needed=is_needed, now_us=now_us):
            seat = self.seats.get(worker)
            if seat is not None:
                out.start_workers.append((worker, self.seats.memory_max(seat)))
