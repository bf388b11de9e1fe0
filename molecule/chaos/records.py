"""The records of a run: what was asked, answered, seen and broken, line by line.

What must stay true: each record says what its writer saw by itself, and never what it concluded;
an answer that never came is `unknown`, which is an answer of its own.
"""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from molecule.model.execution import ExecutionState

FORMAT: Final = 1
"""Version of the form of a history; a reader refuses every other."""

SIDES: Final = ("completed", "failed", "cancelled", "active", "parked")
"""What `accepted` is made up of in the cluster's own conservation law."""


class Outcome(StrEnum):
    """What a client knows after its request."""

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


class Record(BaseModel):
    """One line: when it was written down, by the monotonic clock of the run and by the wall's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    at_us: int = Field(ge=0)
    wall_ms: int = Field(ge=0)


class Header(Record):
    """The first line: what the run was to do, and on whom."""

    kind: Literal["header"] = "header"
    format: Literal[1] = FORMAT
    seed: int
    software: str
    cluster: str
    nodes: tuple[str, ...]
    voters: tuple[str, ...]
    process: str
    environment: str
    minutes: float
    faults: tuple[str, ...]


class PhaseBegan(Record):
    """Everything behind this line belongs to the phase, until the next one begins."""

    kind: Literal["phase"] = "phase"
    phase: Phase


class Invoked(Record):
    """A client submits. It has one request until that is answered; `operation` is its number."""

    kind: Literal["invoked"] = "invoked"
    operation: int
    client: str
    url: str
    idempotency_key: str = Field(min_length=1)


class Answered(Record):
    """What became of a request. Without an answer in time the outcome is `unknown`."""

    kind: Literal["answered"] = "answered"
    operation: int
    outcome: Outcome
    code: str = ""
    """Of the problem that was answered, or what happened instead of an answer."""
    execution: str = ""
    """Of an accepted submission."""


class FaultBegan(Record):
    """A fault is being made."""

    kind: Literal["fault_began"] = "fault_began"
    fault: int
    fault_kind: str
    aim: str
    nodes: tuple[str, ...]
    means: str


class FaultConfirmed(Record):
    """The fault was seen to work: processes gone or stopped, a node taken for down."""

    kind: Literal["fault_confirmed"] = "fault_confirmed"
    fault: int
    evidence: dict[str, JsonValue] = Field(min_length=1)


class FaultUnconfirmed(Record):
    """The fault was made and nothing showed that it worked."""

    kind: Literal["fault_unconfirmed"] = "fault_unconfirmed"
    fault: int
    why: str


class FaultEnded(Record):
    """The fault is healed, as far as the one who made it can tell; else why it is not."""

    kind: Literal["fault_ended"] = "fault_ended"
    fault: int
    healed: bool = True
    why: str = ""


class Probed(Record):
    """The last look at an address of the cluster: it answers and takes work, or not."""

    kind: Literal["probed"] = "probed"
    url: str
    answered: bool


class NodeSeen(Record):
    """The last word of the cluster about one of its nodes."""

    kind: Literal["node_seen"] = "node_seen"
    node: str
    up: bool


class Books(Record):
    """The conservation law as an address tells it at the end."""

    kind: Literal["books"] = "books"
    url: str
    accepted: int
    completed: int
    failed: int
    cancelled: int
    active: int
    parked: int


class Ending(Record):
    """An execution as an address tells it at the end; `state` None: it knows of none such."""

    kind: Literal["ending"] = "ending"
    url: str
    execution: str
    state: ExecutionState | None
    reason: str = ""


class KeyRead(Record):
    """Which executions there are of one idempotency key, at the end."""

    kind: Literal["key_read"] = "key_read"
    idempotency_key: str
    executions: tuple[str, ...]


class Trouble(Record):
    """Something that keeps the run from proving anything, and that no check would see."""

    kind: Literal["trouble"] = "trouble"
    what: str


class Closed(Record):
    """The last line: the writer came to its end. `records` counts the lines before it."""

    kind: Literal["closed"] = "closed"
    records: int
    interrupted: bool = False


RECORD: Final[TypeAdapter[Record]] = TypeAdapter(
    Annotated[
        Header
        | PhaseBegan
        | Invoked
        | Answered
        | FaultBegan
        | FaultConfirmed
        | FaultUnconfirmed
        | FaultEnded
        | Probed
        | NodeSeen
        | Books
        | Ending
        | KeyRead
        | Trouble
        | Closed,
        Field(discriminator="kind"),
    ]
)
