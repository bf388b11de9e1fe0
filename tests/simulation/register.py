"""The replicated state of a simulated member: the product's state machine, and what a leader needs.

Leadership is a committed claim, and what a leader says carries the epoch of its claim; a leader's
commands stand for jobs here, each to be given once. Who proposes what is left to `clients.py`. What
must stay true: `apply` depends on nothing but the state and the bytes.
"""

import json
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from molecule.cluster.apply import StateMachine
from molecule.cluster.commands import VERSION
from molecule.cluster.outcome import Applied
from molecule.wire.v1 import commands_pb2 as wire


def put(identifier: str, padding: int = 0) -> bytes:
    """A client's write; `padding` makes it as large as real ones are."""
    return _entry(
        submit_execution=wire.SubmitExecution(
            execution=identifier, idempotency_key=identifier, body_digest="x" * padding
        )
    )


def claim(member: str, life: str) -> bytes:
    """A member that won an election asks for the next epoch."""
    return _entry(claim_leadership=wire.ClaimLeadership(node=member, life=life))


def give_job(member: str, epoch: int, job: int, nonce: str) -> bytes:
    """A leader gives a job away, in the epoch that it believes to hold."""
    # A trigger that runs nowhere is taken away: applied if the epoch is the current one.
    return _entry(
        assign_trigger=wire.AssignTrigger(
            epoch=epoch, environment=member, process=str(job), reason=nonce
        )
    )


def _entry(**kind: Any) -> bytes:
    return wire.Entry(commands=[wire.Command(version=VERSION, **kind)]).SerializeToString()


def show(data: bytes) -> str:
    """What an entry says, for people."""
    try:
        return " ".join(str(wire.Entry.FromString(data)).split())[:120]
    except DecodeError:
        return f"garbage {data[:40]!r}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one entry did: the epoch it minted, or the job given out, by whom and when."""

    epoch: int | None = None
    leader: str | None = None
    job: int | None = None


NOTHING = Outcome()


class StateCopy:
    """What the world asks of a copy of the state, whatever is built on it."""

    __slots__ = ("_machine",)
    _machine: StateMachine

    @property
    def applied(self) -> int:
        """Index of the last entry applied."""
        return self._machine.index

    @property
    def epoch(self) -> int:
        """The current epoch."""
        return self._machine.state.epoch

    @property
    def chain(self) -> bytes:
        """The rolling hash over all entries and outcomes so far."""
        return self._machine.rolling_hash

    def state_hash(self) -> bytes:
        """The hash of the whole state."""
        return self._machine.state_hash()


class Register(StateCopy):
    """One member's copy of the state; changed by `apply` and replaced by `load` only."""

    __slots__ = ("_checks_epoch", "job", "minted")

    def __init__(self, *, checks_epoch: bool = True) -> None:
        self._checks_epoch = checks_epoch
        self._machine = StateMachine()
        self.job = 0
        # Epochs minted in this life, by the index of their claim.
        self.minted: dict[int, int] = {}

    def apply(self, index: int, term: int, data: bytes) -> Outcome:
        """Apply one committed entry."""
        command = wire.Entry.FromString(data).commands[0]
        kind = command.WhichOneof("kind")
        if kind == "assign_trigger" and not self._checks_epoch:
            # As if nobody looked at the epoch: whatever was said counts as said now.
            command.assign_trigger.epoch = self.epoch
            data = wire.Entry(commands=[command]).SerializeToString()
        outcome = self._machine.apply_entry(index, term, data).outcomes[0]
        if not isinstance(outcome, Applied):
            return NOTHING
        if kind == "claim_leadership":
            self.minted[index] = self.epoch
            return Outcome(epoch=self.epoch, leader=command.claim_leadership.node)
        if kind == "assign_trigger":
            given = command.assign_trigger
            self.job = max(self.job, int(given.process))
            return Outcome(epoch=self.epoch, leader=given.environment, job=int(given.process))
        return NOTHING

    def dump(self) -> bytes:
        """The state as bytes, for a snapshot."""
        machine = self._machine
        rows = [(table, key, (value or b"").hex()) for table, key, value in machine.rows()]
        return json.dumps([machine.index, machine.term, self.chain.hex(), self.job, rows]).encode()

    def load(self, content: bytes) -> None:
        """Become the state that `dump` wrote; padding spaces after it do not matter."""
        index, term, chain, self.job, rows = json.loads(content)
        self._machine = StateMachine.restore(
            ((table, key, bytes.fromhex(value)) for table, key, value in rows),
            index=index,
            term=term,
            rolling_hash=bytes.fromhex(chain),
        )
