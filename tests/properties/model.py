"""The state told a second time, slowly and obviously: one list of all ever accepted, no index.

Written from the contract, not from `molecule/cluster`: whatever can be counted is counted anew each
time. It knows the commands that `logs.py` writes, and says for each whether it takes effect.
"""

from typing import Any

from molecule.wire.v1 import commands_pb2 as wire
from tests.properties.key_words import KeyWords
from tests.properties.model_parts import (
    BUDGET,
    EXPIRES,
    FAILOVER,
    HOLD_FOR,
    OVERLAP,
    PARKED,
    TIMEOUT,
    Effect,
    Member,
    Run,
)


class Model(KeyWords):
    """Applies commands; `apply` gives True when the command took effect."""

    def __init__(self, hold_ms: int) -> None:
        super().__init__(hold_ms)
        self.token = 0
        self.incarnation = 0
        self.members: dict[str, Member] = {}
        self.losses: list[tuple[str, int]] = []
        """Lost lives: which, and how many executions they had."""

    def apply(self, at_ms: int, command: wire.Command) -> bool:
        self.time = max(self.time, at_ms)
        kind = command.WhichOneof("kind")
        body: Any = getattr(command, str(kind))
        before = {run.name: run.state for run in self.runs}
        verdict: bool = getattr(self, str(kind))(body)
        for run in self.runs:
            self.count_parked(run, before.get(run.name, ""))
        return verdict

    def free(self, name: str) -> int:
        member = self.members[name]
        held = sum(run.state == "ASSIGNED" and run.node == name for run in self.runs)
        return member.slots - held if member.up and member.drains is None else 0

    # -- nodes

    def claim_leadership(self, _: wire.ClaimLeadership) -> bool:
        self.epoch += 1
        return True

    def register_node(self, said: wire.RegisterNode) -> bool:
        member = self.members.get(said.node)
        if member and member.life == said.life and member.up:
            return True
        if member and said.life in member.ended_lives:
            return False
        ended: list[str] = []
        if member:
            self._lose_member(said.node)
            ended = member.ended_lives + [member.life] * (member.life != said.life)
        self.incarnation += 1
        drains = "" if member and member.drains == "" else None
        self.members[said.node] = Member(
            said.life, self.incarnation, said.slots, drains=drains, ended_lives=ended
        )
        for run in self.runs:
            if run.state == "HELD" and run.held_for == said.node:
                self._set(run, "PENDING")
        return True

    def report_node_death(self, said: wire.ReportNodeDeath) -> bool:
        member = self.members.get(said.node)
        if not member or said.life not in [*member.ended_lives, member.life]:
            return False
        if said.life not in member.ended_lives:
            member.ended_lives.append(said.life)
            self._lose_member(said.node)
        return True

    def expire_node(self, said: wire.ExpireNode) -> bool:
        member = self.members.get(said.node)
        if said.epoch != self.epoch or not member or not member.up:
            return False
        if member.incarnation != said.incarnation:
            return False
        self._lose_member(said.node)
        return True

    def drain_node(self, said: wire.DrainNode) -> bool:
        member = self.members.get(said.node)
        if not member or not member.up or said.life not in ("", member.life):
            return False
        others = [one for name, one in self.members.items() if name != said.node]
        if not said.life and not any(one.up and one.drains is None for one in others):
            return False
        if member.drains != "":
            member.drains = said.life
        return True

    def undrain_node(self, said: wire.UndrainNode) -> bool:
        member = self.members.get(said.node)
        if not member or (member.up and member.drains == member.life):
            return False
        member.drains = None
        return True

    def report_worker_death(self, said: wire.ReportWorkerDeath) -> bool:
        if said.node not in self.members:
            return False
        for held in said.held:
            run = self.find(held.execution)
            if run and run.state == "ASSIGNED" and (run.token, run.node) == (held.token, said.node):
                self._lose(run, charged=bool(held.running_step), alone=held.alone)
        return True

    def _lose_member(self, name: str) -> None:
        held = [run for run in self.runs if run.state == "ASSIGNED" and run.node == name]
        if self.members[name].up:
            self.losses.append((f"{name}.{self.members[name].incarnation}", len(held)))
        self.members[name].up = False
        for run in self.runs:
            if run.state == "ASSIGNED" and run.node == name:
                self._lose(run)

    def _lose(self, run: Run, *, charged: bool = False, alone: bool = False) -> None:
        run.crashes += charged and alone
        if charged and alone and run.crashes >= BUDGET:
            self._set(run, "QUARANTINED")
            return
        if FAILOVER[run.process] == "fail":
            for effect in run.doubts:
                effect.known = ""
            run.only_ends = bool(run.doubts)
            self._set(run, "IN_DOUBT" if run.doubts else "FAILED")
            return
        if FAILOVER[run.process] == "hold":
            run.held_for, run.held_until = run.node, self.time + HOLD_FOR
        if run.doubts:
            self.wait(run, 0)
        elif run.held_for and not self.members[run.node].up:
            self._set(run, "HELD")
        else:
            self._set(run, "PENDING")

    def purge_ended(self, said: wire.PurgeEnded) -> bool:
        # It takes documents and rows; no execution changes, whatever its state.
        return said.epoch == self.epoch

    # -- executions

    def submit_execution(self, said: wire.SubmitExecution) -> bool:
        for run in self.runs:
            if run.key == said.idempotency_key:
                return run.body == said.body_digest
        if self.find(said.execution):
            return False
        run = Run(
            said.execution,
            said.idempotency_key,
            said.body_digest,
            said.process,
            said.concurrency_key or ("*" if said.process in OVERLAP else ""),
            said.priority,
            deadline=self.time + TIMEOUT[said.process] if said.process in TIMEOUT else 0,
            expires=self.time + EXPIRES[said.process] if said.process in EXPIRES else 0,
        )
        before = self.queue(run.process, run.lock) if run.lock else []
        if before and OVERLAP.get(run.process) == "skip":
            return False
        if before and OVERLAP.get(run.process) == "replace":
            for other in [other for other in before if other.state not in PARKED]:
                self._set(other, "CANCELLED")
        run.place = self._place()
        member = self.members.get(said.hint.node)
        others_wait = any(
            self.may_start(other)
            and other.priority >= said.priority
            and other.process not in self.paused
            for other in self.runs
        )
        key_wanted = run.lock and (
            self.queue(run.process, run.lock) or (run.process, run.lock) in self.held
        )
        self.runs.append(run)
        if (
            run.process not in self.paused
            and member
            and member.incarnation == said.hint.incarnation
            and self.free(said.hint.node) > 0
            and not others_wait
            and not key_wanted
        ):
            self._give(run, said.hint.node)
        return True

    def _give(self, run: Run, node: str) -> None:
        self.token += 1
        self._set(run, "ASSIGNED")
        run.node, run.token = node, self.token
        run.attempts += 1
        run.held_for = ""

    def assign_execution(self, said: wire.AssignExecution) -> bool:
        run = self.find(said.execution)
        member = self.members.get(said.node)
        if said.epoch != self.epoch or not run or not member:
            return False
        if not run.attempts and 0 < run.expires <= self.time:
            return False
        if not self.may_start(run) or member.incarnation != said.incarnation:
            return False
        if run.process in self.paused:
            return False
        if self.free(said.node) <= 0 or run.held_for not in ("", said.node):
            return False
        self._give(run, said.node)
        return True

    def _holder(self, said: Any) -> Run | None:
        run = self.find(said.execution)
        if run and run.state == "ASSIGNED" and run.token == said.token:
            return run
        return None

    def record_checkpoint(self, said: wire.RecordCheckpoint) -> bool:
        run = self._holder(said)
        if run is None:
            return False
        if 0 < said.sequence <= run.sequence:
            return True
        if said.sequence != run.sequence + 1:
            return False
        run.sequence += 1
        run.letters += len(said.dead_letters)
        for name in said.consumed:
            if name in run.told:
                run.told[name].taken = True
        run.answers = {key: how for key, how in run.answers.items() if key not in run.confirmed}
        run.confirmed = set()
        passed = [step.step for step in said.steps]
        run.effects = {
            key: effect
            for key, effect in run.effects.items()
            if effect.open and (effect.once or effect.step not in passed)
        }
        return True

    def record_intents(self, said: wire.RecordIntents) -> bool:
        run = self._holder(said)
        if run is None:
            return False
        for asked in said.intents:
            known = run.effects.get(asked.effect_key)
            if known and known.known in ("done", "fail"):
                return False
            if known and known.once and known.open and known.token != run.token:
                return False
        for asked in said.intents:
            known = run.effects.get(asked.effect_key)
            if not known or not known.open:
                run.effects.pop(asked.effect_key, None)
                run.effects[asked.effect_key] = Effect(
                    asked.effect == "once", run.token, self.time + asked.timeout_ms, asked.step
                )
        return True

    def confirm_effects(self, said: wire.ConfirmEffects) -> bool:
        run = self._holder(said)
        if run is None:
            return False
        happened = ("sent", "verified_done")
        for item in said.confirmations:
            known = run.effects.get(item.effect_key)
            if known is None:
                continue
            told = "done" if item.how in happened else "not_done"
            if not known.open and known.known != told:
                return False
        for item in said.confirmations:
            if item.effect_key in run.answers:
                run.confirmed.add(item.effect_key)
            if item.effect_key in run.effects:
                known_now = "done" if item.how in happened else "not_done"
                run.effects[item.effect_key].known = known_now
        return True

    def end_attempt(self, said: wire.EndAttempt) -> bool:
        run = self._holder(said)
        if run is None:
            ended = self.find(said.execution)
            return ended is not None and 0 < said.token == ended.token_ended
        if said.state in ("COMPLETED", "FAILED") and run.doubts:
            return False
        if said.state == "IN_DOUBT" and not run.doubts:
            return False
        run.token_ended = run.token
        run.letters += len(said.dead_letters)
        run.only_ends = False
        if said.state == "IN_DOUBT":
            for effect in run.doubts:
                effect.known = ""
        if said.state == "WAITING":
            self.wait_as_said(run, said)
        elif said.state == "PENDING" and run.doubts:
            self.wait(run, 0)
        else:
            self._set(run, said.state)
        return True

    def cancel_execution(self, said: wire.CancelExecution) -> bool:
        run = self.find(said.execution)
        if run is None or run.state in ("COMPLETED", "FAILED"):
            return False
        self._set(run, "CANCELLED")
        return True

    def resolve_effects(self, said: wire.ResolveEffects) -> bool:
        run = self.find(said.execution)
        if run is None or run.state != "IN_DOUBT":
            return False
        for item in said.answers:
            known = run.effects.get(item.effect_key)
            if known is None or not (known.once and known.open):
                return False
            if item.answer in ("not_done", "ask") and self.time < known.deadline + self.hold_ms:
                return False
            if item.answer == "ask" and run.only_ends:
                return False
        for item in said.answers:
            run.effects[item.effect_key].known = item.answer
        once = [effect for effect in run.effects.values() if effect.once]
        if not any(effect.known == "" for effect in once):
            failed = run.only_ends or all(e.known == "fail" for e in once)
            self._set(run, "FAILED" if failed else "PENDING")
        return True

    def release_execution(self, said: wire.ReleaseExecution) -> bool:
        run = self.find(said.execution)
        if said.epoch != self.epoch or run is None or run.state != "WAITING":
            return False
        if run.wait_number != said.wait_number or self.time < max(
            run.wait_until, self.settled(run)
        ):
            return False
        self._set(run, "PENDING")
        return True

    # -- what lets parked ones go

    def release_parked(self, said: wire.ReleaseParked) -> bool:
        run = self.find(said.execution)
        if run is None or run.state not in ("QUARANTINED", "HELD"):
            return False
        if any(self.time < effect.deadline + self.hold_ms for effect in run.doubts):
            return False
        self._set(run, "PENDING")
        run.crashes, run.held_for = 0, ""
        return True

    def fail_parked(self, said: wire.FailParked) -> bool:
        run = self.find(said.execution)
        if run is None or run.state not in PARKED:
            return False
        self._set(run, "FAILED")
        return True

    def end_hold(self, said: wire.EndHold) -> bool:
        run = self.find(said.execution)
        if said.epoch != self.epoch or run is None or not run.live or not run.held_for:
            return False
        if run.token != said.token or self.time < run.held_until:
            return False
        run.held_for = ""
        if run.state == "HELD":
            self._set(run, "PENDING")
        return True
