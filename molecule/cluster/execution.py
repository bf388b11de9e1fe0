"""One accepted execution as every voter keeps it: headers, progress, effects; no payloads.

Tables and indexes are in `state.py`; how it changes in `transitions.py` and the `apply_*` modules.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from molecule.model.effect import Effect
from molecule.model.execution import ExecutionState
from molecule.model.ids import (
    Digest,
    EffectKey,
    Epoch,
    ExecutionId,
    GroupId,
    IdempotencyKey,
    Incarnation,
    NodeId,
    ProcessName,
    SignalId,
    Token,
    VersionId,
)

NO_NODE: Final = NodeId("")


NO_GROUP: Final = GroupId("")


NO_TOKEN: Final = Token(0)


NO_INCARNATION: Final = Incarnation(0)


NO_EPOCH: Final = Epoch(0)


class PayloadMark(NamedTuple):
    """What the state knows of a payload: how large it is and which documents it keeps alive."""

    size_bytes: int
    digests: tuple[Digest, ...] = ()


NO_PAYLOAD: Final = PayloadMark(0)


@dataclass(frozen=True, slots=True)
class Intent:
    """An effect that was about to be sent, and what is known of it since.

    `resolution` is empty while nobody knows, `ask` when `verify` shall be asked again, `done`,
    `not_done` or `fail` once it is known; what is known is kept until the next checkpoint.
    """

    effect_key: EffectKey
    step: str
    document: str
    effect: Effect
    target: str
    request_digest: str
    request_size_bytes: int
    verifiable: bool
    token: Token
    recorded_at_ms: int
    deadline_at_ms: int
    resolution: str = ""

    @property
    def is_open(self) -> bool:
        """True while nobody knows whether it happened."""
        return self.resolution in ("", "ask")

    @property
    def is_in_doubt(self) -> bool:
        """True while nobody knows whether something happened that must not happen twice."""
        return self.effect is Effect.ONCE and self.is_open


@dataclass(frozen=True, slots=True)
class Death:
    """The death of a worker that is charged to an execution: the evidence that people get.

    `alone`: the worker was its own, so nothing else can be to blame; `step` is what ran then.
    """

    node: NodeId
    worker: str
    step: str
    evidence: str
    cause: str
    memory_bytes: int
    at_ms: int
    alone: bool


class Awaited(NamedTuple):
    """A signal that an execution waits for: one with this name and correlation."""

    name: str
    correlation: str = ""


@dataclass(frozen=True, slots=True)
class Signal:
    """What somebody told an execution; kept until its `await` took it, its id until the end.

    `body_digest` tells a repeat from another signal under the same id.
    """

    id: SignalId
    awaited: Awaited
    body_digest: bytes
    payload: PayloadMark
    arrived_at_ms: int
    consumed: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a write to a table, or a claim, came to: a repeat gets the same.

    Kept until the holder has confirmed it and a checkpoint has the result.
    """

    answer: str
    detail: str = ""
    confirmed: bool = False


@dataclass(slots=True)
class Progress:
    """What an execution has once it was assigned; most of those that are pending have none."""

    sequence: int = 0
    position: PayloadMark = NO_PAYLOAD
    intents: dict[EffectKey, Intent] = field(default_factory=dict)
    steps: int = 0
    dead_letters: int = 0
    documents_failed: int = 0
    crashes: int = 0
    """Workers of its own that died while they ran it; only these count against its budget."""
    is_marked: bool = False
    """A worker died while it ran a step of it, so each attempt gets a worker of its own."""
    last_death: Death | None = None
    once_begun: bool = False
    """An effect that must not happen twice began at some time: it is never started anew."""
    wait_number: int = 0
    wait_until_ms: int = 0
    """Cluster time at which WAITING ends; 0: only a signal or the leader ends it."""
    awaited: tuple[Awaited, ...] = ()
    """Signals that end WAITING."""
    signals: dict[SignalId, Signal] = field(default_factory=dict)
    answers: dict[EffectKey, Answer] = field(default_factory=dict)
    claims: dict[str, int] = field(default_factory=dict)
    """Keys that it claimed, and how long each counts once it has completed."""
    held_for: NodeId = NO_NODE
    """With failover `hold`: the node whose return it waits for, and where it must run then."""
    held_until_ms: int = 0
    """Cluster time from which on it may run anywhere."""
    key_serial: int = 0
    """Its place in the queue of its key when it joined that anew; 0: as it was accepted."""
    answered: bool = False
    """Its HTTP caller has an answer, whatever is still to be done."""
    lost_with: str = ""
    """The post-mortem of its last node, until its next attempt told a step."""
    gate: str = ""
    """The connection whose gate it waits at, or was let through and has not called yet."""


@dataclass(slots=True)
class Execution:
    """One accepted execution that is not terminal. Only apply changes it."""

    id: ExecutionId
    environment: str
    process: ProcessName
    version: VersionId
    idempotency_key: IdempotencyKey
    body_digest: bytes
    concurrency_key: str
    group: GroupId
    origin: str
    actor: str
    track: tuple[tuple[str, str], ...]
    input: PayloadMark
    priority: int
    accepted_at_ms: int
    deadline_at_ms: int
    """Cluster time after which it fails; 0: never."""
    accepted_serial: int
    """Order of commit, in which concurrency keys are honoured."""

    expires_at_ms: int = 0
    """Cluster time after which it does not begin any more; 0: it always may."""
    state: ExecutionState = ExecutionState.PENDING
    ready_serial: int = 0
    """Place in its lane while it may be assigned; 0 when blocked by its key or not pending."""
    node: NodeId = NO_NODE
    incarnation: Incarnation = NO_INCARNATION
    token: Token = NO_TOKEN
    """Of the current or the last assignment."""
    token_ended: Token = NO_TOKEN
    """Of the last attempt that its own holder ended: a repeat of that word gets the same answer."""
    attempts: int = 0
    changed_at_ms: int = 0
    started_at_ms: int = 0
    timeline_rows: int = 0
    reason: str = ""
    progress: Progress | None = None

    @property
    def intents(self) -> dict[EffectKey, Intent]:
        """Effects that began and stand after the last checkpoint; for reading only."""
        return self.progress.intents if self.progress is not None else {}

    @property
    def sequence(self) -> int:
        """Number of the last checkpoint; 0 when there is none."""
        return self.progress.sequence if self.progress is not None else 0

    @property
    def key_serial(self) -> int:
        """Its place in the queue of its concurrency key."""
        joined_anew = self.progress.key_serial if self.progress is not None else 0
        return joined_anew or self.accepted_serial

    @property
    def signals(self) -> dict[SignalId, Signal]:
        """What it was told, in the order of arrival; for reading only."""
        return self.progress.signals if self.progress is not None else {}

    @property
    def answers(self) -> dict[EffectKey, Answer]:
        """Answers to its writes and claims that may be asked for again; for reading only."""
        return self.progress.answers if self.progress is not None else {}

    @property
    def wait_until_ms(self) -> int:
        """Cluster time at which WAITING ends; 0: no time ends it."""
        return self.progress.wait_until_ms if self.progress is not None else 0

    @property
    def is_alone(self) -> bool:
        """True when a worker died running it: its attempts get a worker of their own."""
        return self.progress is not None and self.progress.is_marked

    @property
    def held_for(self) -> NodeId:
        """The only node where it may run now (failover `hold`); empty: any."""
        return self.progress.held_for if self.progress is not None else NO_NODE


class Ended(NamedTuple):
    """What is kept of a terminal execution while its idempotency key counts.

    `window_ms` is that of its version; 0: the cluster's own.
    """

    id: ExecutionId
    state: ExecutionState
    environment: str
    process: ProcessName
    window_ms: int
    idempotency_key: IdempotencyKey
    body_digest: bytes
    token: Token
    token_ended: Token
    ended_at_ms: int
    serial: int
    late_words: int = 0
    """How many late words its timeline tells; a bound keeps them from growing without end."""
    signals: tuple[bytes, ...] = ()
    """Fingerprints of the signals it was told, so that a repeat still gets its answer."""
