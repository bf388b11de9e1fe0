"""A replica with nodes and a process, and the commands that tests say to it, with defaults."""

from typing import Any

from molecule.cluster.apply import StateMachine
from molecule.cluster.changes import EntryResult
from molecule.cluster.execution import (
    Execution,
)
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import (
    ClusterState,
)
from molecule.model.ids import ExecutionId
from molecule.wire.v1 import commands_pb2 as wire

NOW_MS = 1_700_000_000_000
ENVIRONMENT = "test"


class Replica:
    """One state machine; each call commits one entry."""

    def __init__(self, *, nodes: int = 2, slots: int = 4, **bounds: int) -> None:
        self.machine = StateMachine()
        self.at_ms = NOW_MS
        numbers = {"lease_ms": 2_500, "lease_margin_ms": 250, **bounds}
        self.say(claim_leadership=wire.ClaimLeadership(node="n1", bounds=wire.Bounds(**numbers)))
        for number in range(1, nodes + 1):
            self.register(f"n{number}", slots=slots)
        self.say(put_environment=wire.PutEnvironment(environment=ENVIRONMENT, digest="1"))
        self.deploy("orders")

    @property
    def state(self) -> ClusterState:
        return self.machine.state

    def commit(self, *commands: wire.Command) -> EntryResult:
        entry = wire.Entry(at_ms=self.at_ms, commands=commands)
        return self.machine.apply_entry(self.machine.index + 1, 1, entry.SerializeToString())

    def result(self, **kind: Any) -> EntryResult:
        return self.commit(wire.Command(version=1, **kind))

    def say(self, **kind: Any) -> Outcome:
        return self.result(**kind).outcomes[0]

    def register(self, name: str, *, life: str = "1", **fields: Any) -> Outcome:
        return self.say(register_node=wire.RegisterNode(node=name, life=life, **fields))

    def deploy(self, process: str, *, trigger_on: bool = False, **options: Any) -> None:
        self.say(
            put_version=wire.PutVersion(
                process=process,
                version="v1",
                options=wire.VersionOptions(**options),
                package=wire.Payload(inline=b"package"),
            )
        )
        self.say(
            activate_version=wire.ActivateVersion(
                environment=ENVIRONMENT, process=process, version="v1", trigger_on=trigger_on
            )
        )

    def submission(self, name: str, **fields: Any) -> wire.SubmitExecution:
        defaults: dict[str, Any] = {
            "execution": name,
            "idempotency_key": f"key of {name}",
            "body_digest": "body",
            "environment": ENVIRONMENT,
            "process": "orders",
            "input": wire.Payload(inline=b"[]"),
        }
        return wire.SubmitExecution(**{**defaults, **fields})

    def submit(self, name: str, **fields: Any) -> Outcome:
        return self.say(submit_execution=self.submission(name, **fields))

    def start(self, name: str, node: str = "n1", **fields: Any) -> int:
        """Submit and assign; returns the token."""
        self.submit(name, **fields)
        outcome = self.assign(name, node)
        assert isinstance(outcome, Applied), outcome
        return outcome.value

    def assign(self, name: str, node: str = "n1") -> Outcome:
        return self.say(
            assign_execution=wire.AssignExecution(
                epoch=self.state.epoch,
                execution=name,
                node=node,
                incarnation=self.state.nodes[node].incarnation,  # type: ignore[index]  # a NodeId
            )
        )

    def end(self, name: str, token: int, state: str = "COMPLETED", **fields: Any) -> EntryResult:
        return self.result(
            end_attempt=wire.EndAttempt(execution=name, token=token, state=state, **fields)
        )

    def intend(self, name: str, token: int, *keys: str, **fields: Any) -> Outcome:
        defaults = {"step": "tell", "effect": "once", "timeout_ms": 5_000}
        intents = [wire.Intent(effect_key=key, **{**defaults, **fields}) for key in keys]
        return self.say(
            record_intents=wire.RecordIntents(execution=name, token=token, intents=intents)
        )

    def change(self, name: str, token: int, effect: str, **change: Any) -> Outcome:
        """A write to the table `stock`, or a read, as the holder says it."""
        fields = {"table": "stock", "key": "a", "action": "put", "value": "1", **change}
        sequence = fields.pop("sequence", self._sequence(name))
        return self.say(
            use_table=wire.UseTable(
                execution=name,
                token=token,
                sequence=sequence,
                effect_key=effect,
                change=wire.TableChange(**fields),
            )
        )

    def claim(self, name: str, token: int, effect: str, key: str = "k", **fields: Any) -> Outcome:
        defaults = {"scope": "s", "window_ms": 60_000, "sequence": self._sequence(name)}
        return self.say(
            claim_key=wire.ClaimKey(
                execution=name, token=token, effect_key=effect, key=key, **{**defaults, **fields}
            )
        )

    def confirm(self, name: str, token: int, *effects: str) -> Outcome:
        told = [wire.Confirmation(effect_key=effect, how="sent") for effect in effects]
        return self.say(
            confirm_effects=wire.ConfirmEffects(execution=name, token=token, confirmations=told)
        )

    def _sequence(self, name: str) -> int:
        known = self.state.executions.get(ExecutionId(name))
        return known.sequence if known is not None else 0

    def checkpoint(self, name: str, token: int, sequence: int, **fields: Any) -> EntryResult:
        return self.result(
            record_checkpoint=wire.RecordCheckpoint(
                execution=name, token=token, sequence=sequence, **fields
            )
        )

    def execution(self, name: str) -> Execution:
        return self.state.executions[ExecutionId(name)]


def stored(digest: str, size_bytes: int = 100, *refers_to: str) -> wire.Payload:
    """A payload in the document store."""
    return wire.Payload(
        stored=wire.DocumentRef(digest=digest, size_bytes=size_bytes),
        refers_to=[wire.DocumentRef(digest=other, size_bytes=1) for other in refers_to],
    )


def reason(outcome: Outcome) -> str:
    """Why it was rejected; empty when it was applied."""
    return outcome.reason if isinstance(outcome, Rejected) else ""
