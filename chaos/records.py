"""The records of a history: what was asked, answered, seen and broken during one run.

Whoever runs clients, targets and faults writes them; what they prove is left to `checks/`. What
must stay true: each record says what its writer saw by itself, and never what it concluded; all
`at_us` of a history are of one monotonic clock.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, JsonValue, TypeAdapter, model_validator

from chaos.declared import Header
from chaos.record import Record, Value
from molecule.model.execution import TERMINAL, ExecutionState


class Outcome(StrEnum):
    """What a client knows after its request. UNKNOWN is an answer of its own, not a failure."""

    OK = "ok"
    REFUSED = "refused"
    """Definite: nothing happened."""
    UNKNOWN = "unknown"
    """It may have happened, or may still happen."""


class Phase(StrEnum):
    """Parts of a run, in this order: faults stop before the final reads."""

    FAULTS = "faults"
    CALM = "calm"
    FINAL = "final"


class PhaseBegan(Record):
    """Everything behind this line belongs to the phase, until the next one begins."""

    kind: Literal["phase"] = "phase"
    phase: Phase


class Closed(Record):
    """The last line: the writer came to its end. `records` counts the lines before it."""

    kind: Literal["closed"] = "closed"
    records: int


# --- clients --------------------------------------------------------------


class Submit(Value):
    """Ask for an execution. `digest` names the body, `order_key` is its concurrency key."""

    action: Literal["submit"] = "submit"
    process: str
    idempotency_key: str = Field(min_length=1)
    digest: str
    order_key: str = ""


class Cancel(Value):
    """End an execution as CANCELLED."""

    action: Literal["cancel"] = "cancel"
    execution: str


class Show(Value):
    """Read the state of an execution."""

    action: Literal["show"] = "show"
    execution: str


class Read(Value):
    """Read a register as it is now; reads that may be old are not recorded as these."""

    action: Literal["read"] = "read"
    register_name: str


class Write(Value):
    """Give a register a value; None deletes it."""

    action: Literal["write"] = "write"
    register_name: str
    value: JsonValue


class Swap(Value):
    """Give a register a value if it has another one now; None stands for no value."""

    action: Literal["swap"] = "swap"
    register_name: str
    expected: JsonValue
    value: JsonValue


Ask = Annotated[Submit | Cancel | Show | Read | Write | Swap, Field(discriminator="action")]


class Invoked(Record):
    """A client sends a request. It has one until it is answered; `operation` is its number."""

    kind: Literal["invoked"] = "invoked"
    operation: int
    client: str
    ask: Ask


class Answered(Record):
    """What became of a request. Without an answer in time the outcome is `unknown`."""

    kind: Literal["answered"] = "answered"
    operation: int
    outcome: Outcome
    code: str = ""
    """Of the problem that was answered."""
    execution: str = ""
    """Of an accepted submission."""
    state: ExecutionState | None = None
    """In which the execution was at the answer."""
    value: JsonValue = None
    """Of a read."""
    matched: bool | None = None
    """Of a swap: whether the register had the expected value, and so has the new one."""


# --- outside of the cluster -----------------------------------------------


class EffectSeen(Record):
    """A request with an effect arrived at the recording target."""

    kind: Literal["effect"] = "effect"
    target: str
    effect_key: str
    origin: str
    """The execution that the effect key names."""
    step: str
    digest: str
    """Of the bytes that arrived."""
    applied: bool
    """False when the target knew the key and changed nothing."""


class FaultBegan(Record):
    """A fault is being made. `unseats`: it is aimed at the leader, who cannot stay it."""

    kind: Literal["fault_began"] = "fault_began"
    fault: int
    fault_kind: str
    nodes: tuple[str, ...]
    unseats: bool = False


class FaultConfirmed(Record):
    """The fault was seen to work: packets dropped, a process stopped, an error returned."""

    kind: Literal["fault_confirmed"] = "fault_confirmed"
    fault: int
    evidence: dict[str, JsonValue] = Field(min_length=1)


class FaultEnded(Record):
    """The fault is healed, as far as the one who made it can tell."""

    kind: Literal["fault_ended"] = "fault_ended"
    fault: int


# --- from the nodes' logs and journals ------------------------------------


class Led(Record):
    """A node says that it leads: its claim to an epoch is committed, in a term."""

    kind: Literal["led"] = "led"
    node: str
    term: int
    epoch: int


class Voted(Record):
    """A node gave its vote."""

    kind: Literal["voted"] = "voted"
    node: str
    term: int
    candidate: str


class Applied(Record):
    """A node applied up to an index; `digest` is the rolling hash over all until there."""

    kind: Literal["applied"] = "applied"
    node: str
    index: int
    digest: str


class Promised(Record):
    """A node told a leader that it holds the log up to an index, synced."""

    kind: Literal["promised"] = "promised"
    node: str
    index: int


class Cut(Record):
    """A node took the entries from this index on off the end of its log, as a leader told it."""

    kind: Literal["cut"] = "cut"
    node: str
    index: int


class Restarted(Record):
    """A node came up again, with a log up to this index."""

    kind: Literal["restarted"] = "restarted"
    node: str
    index: int


class Wiped(Record):
    """A fault took what a node had on disk: what it said before binds it no more."""

    kind: Literal["wiped"] = "wiped"
    node: str


class Word(Record):
    """What a holder said of its execution, as it stands in the log, and whether it counted."""

    kind: Literal["word"] = "word"
    index: int
    execution: str
    word: str
    token: int
    accepted: bool


# --- read at the end ------------------------------------------------------


class Ending(Record):
    """An execution as a node tells it at the end; of each node that was asked, one."""

    kind: Literal["ending"] = "ending"
    node: str
    execution: str
    process: str
    state: ExecutionState
    reason: str = ""
    idempotency_key: str
    order_key: str = ""
    origin: str
    """The execution that its effect keys name: itself, or for a retry the first one."""
    schedule: str = ""
    nominal_at_ms: int | None = None


class TimelineRow(Value):
    """One line of a timeline, as `docs/reference/timeline.md` tells it."""

    index: int
    at_ms: int = 0
    """Time of the cluster: that of the voters' clocks, as `wall_ms` is that of the writer's."""
    kind: str
    node: str = ""
    token: int = 0
    attempt: int = 0
    facts: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _an_end_tells_its_state(self) -> Self:
        if self.kind == "ended" and self.facts.get("state") not in TERMINAL:
            raise ValueError("the line of an end tells no terminal state")
        return self


class Timeline(Record):
    """The whole story of an execution as a node tells it, in the order of the log."""

    kind: Literal["timeline"] = "timeline"
    node: str
    execution: str
    rows: tuple[TimelineRow, ...]


class Due(Record):
    """The nominal times of a schedule that had to fire during the run, each once."""

    kind: Literal["due"] = "due"
    schedule: str
    nominal_at_ms: tuple[int, ...]


class Books(Record):
    """The two sides of the conservation law as a node counts them."""

    kind: Literal["books"] = "books"
    node: str
    accepted: int
    completed: int
    failed: int
    cancelled: int
    active: int
    parked: int


class Probed(Record):
    """A node was asked how it is. `backlog`: executions that are active; parked ones are not."""

    kind: Literal["probed"] = "probed"
    node: str
    answered: bool
    backlog: int = 0


class Measured(Record):
    """What the processes of a node use; `base` before the faults, `end` after the backlog."""

    kind: Literal["measured"] = "measured"
    node: str
    moment: Literal["base", "end"]
    memory_bytes: int
    descriptors: int
    tasks: int
    disk_bytes: int


class Searched(Record):
    """An artefact of the run was searched for the canary secret; places where it was found."""

    kind: Literal["searched"] = "searched"
    artefact: str
    found: tuple[str, ...] = ()


AnyRecord = Annotated[
    Header
    | PhaseBegan
    | Closed
    | Invoked
    | Answered
    | EffectSeen
    | FaultBegan
    | FaultConfirmed
    | FaultEnded
    | Led
    | Voted
    | Applied
    | Promised
    | Cut
    | Restarted
    | Wiped
    | Word
    | Ending
    | Timeline
    | Due
    | Books
    | Probed
    | Measured
    | Searched,
    Field(discriminator="kind"),
]

RECORD: Final[TypeAdapter[Any]] = TypeAdapter(AnyRecord)
"""Reads a record of any kind from the JSON of its line."""
