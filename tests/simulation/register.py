"""The small replicated state of the simulator: a rolling hash, an epoch with its leader, and jobs
given out.

It stands for the cluster state: leadership is a committed claim, and what a leader says carries
the epoch of its claim. Who proposes what is left to `clients.py`. What must stay true: `apply`
depends on nothing but the state and the bytes.
"""

import hashlib
import json
from dataclasses import dataclass


def put(identifier: str, padding: int = 0) -> bytes:
    """A client's write; `padding` makes it as large as real ones are."""
    return b"P|" + identifier.encode() + b"|" + b"x" * padding


def claim(member: str, nonce: str) -> bytes:
    """A member that won an election asks for the next epoch."""
    return f"C|{member}|{nonce}".encode()


def give_job(member: str, epoch: int, job: int, nonce: str) -> bytes:
    """A leader gives a job away, in the epoch that it believes to hold."""
    return f"J|{member}|{epoch}|{job}|{nonce}".encode()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one command did: the epoch it minted, or the job given out, by whom and when."""

    epoch: int | None = None
    leader: str | None = None
    job: int | None = None


NOTHING = Outcome()


class Register:
    """One member's copy of the state; changed by `apply` and replaced by `load` only."""

    __slots__ = ("_checks_epoch", "applied", "chain", "epoch", "job", "leader", "nonce")

    def __init__(self, *, checks_epoch: bool = True) -> None:
        self._checks_epoch = checks_epoch
        self.applied = 0
        self.chain = b"\0" * 8
        self.epoch = 0
        self.leader = ""
        self.nonce = ""
        self.job = 0

    def apply(self, index: int, data: bytes) -> Outcome:
        """Apply one committed command; the chain grows by the command and by what came of it."""
        outcome = self._decide(data)
        self.applied = index
        digest = hashlib.blake2b(self.chain, digest_size=8)
        digest.update(data)
        digest.update(repr(outcome).encode())
        self.chain = digest.digest()
        return outcome

    def dump(self) -> bytes:
        """The state as bytes, for a snapshot."""
        return json.dumps(
            [self.applied, self.chain.hex(), self.epoch, self.leader, self.nonce, self.job]
        ).encode()

    def load(self, content: bytes) -> None:
        """Become the state that `dump` wrote; padding spaces after it do not matter."""
        self.applied, chain, self.epoch, self.leader, self.nonce, self.job = json.loads(content)
        self.chain = bytes.fromhex(chain)

    def _decide(self, data: bytes) -> Outcome:
        kind = data[:1]
        if kind == b"C":
            _, member, nonce = data.decode().split("|")
            self.epoch += 1
            self.leader, self.nonce = member, nonce
            return Outcome(epoch=self.epoch, leader=member)
        if kind == b"J":
            _, member, epoch, job, _ = data.decode().split("|")
            if self._checks_epoch and int(epoch) != self.epoch:
                return NOTHING
            self.job = max(self.job, int(job))
            return Outcome(epoch=self.epoch, leader=member, job=int(job))
        return NOTHING
