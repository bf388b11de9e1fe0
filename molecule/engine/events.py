"""Events: what happened to one execution. The shell makes them, the interpreter handles them.

One frozen class each. Instants are cluster time in milliseconds; `call` and `timer` are numbers
that the instruction carried. Results may come in any order, each at most once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from molecule.component.answer import Answer
from molecule.component.contract import Emit, EndExecution, Pause, Reply, Request
from molecule.engine.failures import Failure
from molecule.engine.instructions import Awaited
from molecule.model.document import Document
from molecule.model.execution import WaitReason
from molecule.model.ids import Digest, EffectKey, SignalId

Outcome = tuple[Emit, ...] | EndExecution | Pause | Failure
"""What a local step made of one document."""


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """An effect of an earlier owner that is not behind the last checkpoint.

    `resolution` is empty or `ask` while nobody knows whether it happened, else `done`, `not_done`,
    or `fail` when a person gave the document up. The cluster hands an execution on only after no
    late request of the earlier owner can be under way, so `verify` may be asked at once.
    """

    effect_key: EffectKey
    step: str
    resolution: str = ""


@dataclass(frozen=True, slots=True)
class SignalKept:
    """A signal that came before this owner began and that no position has taken yet."""

    id: SignalId
    awaited: Awaited
    value: Any


@dataclass(frozen=True, slots=True)
class Started:
    """The attempt begins: the input, and what earlier owners left.

    `position` is empty at the first attempt; `blobs` holds the content of every digest that
    `positions.references` names in it.
    """

    at_ms: int
    documents: tuple[Document, ...]
    position: bytes = b""
    blobs: Mapping[Digest, bytes] = field(default_factory=dict)
    sequence: int = 0
    open_intents: tuple[OpenIntent, ...] = ()
    deadline_in_ms: int = 0
    """0: the execution has no deadline."""
    signals: tuple[SignalKept, ...] = ()
    """In the order in which they came."""


@dataclass(frozen=True, slots=True)
class StepRan:
    """`RunStep` is done: one outcome per document; for a list step one for the whole list.

    `notes` are lines that the step logged.
    """

    call: int
    at_ms: int
    duration_us: int
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()
    """What the step told the HTTP caller."""


@dataclass(frozen=True, slots=True)
class RequestsPrepared:
    """`PrepareRequests` is done: one request or failure per document."""

    call: int
    at_ms: int
    duration_us: int
    requests: tuple[Request | Failure, ...]


@dataclass(frozen=True, slots=True)
class RequestPerformed:
    """`PerformRequest` succeeded."""

    call: int
    at_ms: int
    duration_us: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """`PerformRequest` failed. `sent` is False when certainly no byte of it left."""

    call: int
    at_ms: int
    duration_us: int
    failure: Failure
    sent: bool


@dataclass(frozen=True, slots=True)
class RequestHeld:
    """`PerformRequest` was not begun: its connection takes no calls now. No byte of it left.

    `reason` is BREAKER or RATE.
    """

    call: int
    at_ms: int
    reason: WaitReason


@dataclass(frozen=True, slots=True)
class Committed:
    """`Commit` is in the log of a majority."""

    number: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The time that `StartTimer` asked for is over."""

    timer: int
    at_ms: int


Event = (
    Started
    | StepRan
    | RequestsPrepared
    | RequestPerformed
    | RequestFailed
    | RequestHeld
    | Committed
    | TimerFired
)
