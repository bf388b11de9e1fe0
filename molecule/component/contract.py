"""What components and the engine say to each other: protocols and frozen values.

A component decides nothing about retries, time-outs, effects' intents or checkpoints: the engine
does, for every step alike (`when`, `output`, `retry`, `timeout`, `on_error`, `verify`). What must
stay true: `process`, `process_list` and `prepare` are pure, and only `perform`, `open`, `close`
and `run` do I/O.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from molecule.component.answer import Answer
from molecule.expression.names import Names
from molecule.model.document import Document
from molecule.model.effect import Effect
from molecule.model.errors import MoleculeError
from molecule.model.ids import DocumentId, EffectKey

TRIGGER_PROPERTY = "trigger"
"""The document property in which a trigger's facts travel; the engine binds it as `$trigger`."""


@dataclass(frozen=True, slots=True)
class Emit:
    """A document that leaves a step down `path`; None: on to the next step."""

    path: str | None
    document: Document


@dataclass(frozen=True, slots=True)
class EndExecution:
    """The execution ends COMPLETED here; documents still under way are dropped."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """The document waits here, holding no slot: for a while, until an instant, or for a signal.

    `for_ms` counts from when the step began; `until_ms` is cluster time. A signal that comes first
    gives its payload to the document, as `output` says; without one in time the document goes on as
    it is, or fails when `fails`.
    """

    for_ms: int | None = None
    until_ms: int | None = None
    signal: str = ""
    correlation: str = ""
    fails: bool = False


Emitted = Emit | Sequence[Emit] | EndExecution | Pause
"""What a step hands on. An empty sequence: this document's way ends here."""


@dataclass(frozen=True, slots=True)
class Table:
    """A read-only table of the repository: first column -> row, both as text."""

    name: str
    columns: tuple[str, ...]
    rows: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class StepContext:
    """What a step may know besides its document. Nothing here changes between a run and its repeat.

    `names` holds what expressions see, and the instant and seed of `$now` and `$random`; for a list
    it is that of the first document, and `each` has that of every one. `lines` is for `log` alone:
    the engine writes them into the timeline of the step.
    """

    step: str
    names: Names
    tables: Mapping[str, Table] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    each: tuple[Names, ...] = ()
    answers: list[Answer] = field(default_factory=list)
    """For `respond` alone: the engine says them with its next word."""

    def names_of(self, place: int) -> Names:
        """What expressions see for the document at this place of the list."""
        return self.each[place] if self.each else self.names

    def log(self, text: str) -> None:
        """A line for the timeline; the engine cuts it to its bound."""
        self.lines.append(text)


@runtime_checkable
class Step(Protocol):
    """A pure step that sees one document at a time."""

    def process(self, document: Document, context: StepContext) -> Emitted:
        """What becomes of the document. Raises `StepError` with its class; never anything else."""
        ...


@runtime_checkable
class ListStep(Protocol):
    """A pure step that must see all documents at once."""

    def process_list(self, documents: Sequence[Document], context: StepContext) -> Sequence[Emit]:
        """What becomes of the list, in the order to hand on."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """What an operation is about to send: fixed before the send, and stored with its intent.

    `target` is for people ("POST https://desk/late"); `body` is a document value (JSON-shaped or
    bytes inside) from which `perform` makes the same bytes each time.
    """

    target: str
    body: Any


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: values that `output: replace` makes into documents, and a line for people."""

    values: tuple[Any, ...] = ()
    detail: str = ""
    ends: bool = False
    """True: the document's way ends here, whatever `output` says."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """One call of an operation.

    `before_send` must be called directly before bytes leave, without an await in between: it raises
    when lease or token are gone, and what it raises must pass through `perform` unchanged. After
    `deadline` (loop time) nothing may be sent any more; `perform` itself ends within `timeout_s`.
    """

    effect_key: EffectKey
    timeout_s: float
    deadline: float
    before_send: Callable[[], None]
    retry: int = 0


@dataclass(frozen=True, slots=True)
class TableChange:
    """What is asked of a row of a key table; see `TableChange` in `commands.proto`."""

    table: str
    key: str
    action: str
    by: str = ""
    value: str = ""
    unique: Mapping[str, str] = field(default_factory=dict)
    condition: str = ""
    expected: str = ""


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """What a table or a claim answered: a word, and the row's value or a detail for people."""

    answer: str
    value: str = ""


class ClusterKeys(Protocol):
    """The client of operations whose target is the cluster itself (`Spec.inside`).

    Saying the same under the same effect key is carried out once and answered the same. Raises
    `StepError` when a bound is reached or the words make no sense.
    """

    async def table(self, change: TableChange, *, effect_key: EffectKey) -> KeyAnswer:
        """Read or change a row."""
        ...

    async def claim(
        self, scope: str, key: str, *, window_ms: int, wait: bool, effect_key: EffectKey
    ) -> KeyAnswer:
        """Claim a key for this effect."""
        ...


class Cache(Protocol):
    """The client of `cache.*`: what this worker remembers. It may forget anything at any time."""

    def get(self, name: str, key: str) -> tuple[bool, Any]:
        """Whether it is there, and the value."""
        ...

    def put(self, name: str, key: str, value: Any, *, for_ms: int) -> None:
        """Remember it for so long at most."""
        ...

    def remove(self, name: str, key: str) -> None:
        """Forget it."""
        ...


class Connector(Protocol):
    """The client of one connection in one worker: opened once, used by many calls at a time.

    Built as `Connector(settings, credential)`: the connection's `Config`, and a function that gives
    the secret behind a reference (`env:NAME`, `file:PATH`).
    """

    async def open(self) -> None:
        """Make ready; does not need the target to be reachable."""
        ...

    async def close(self) -> None:
        """Give back every resource; may be called without `open`."""
        ...


@runtime_checkable
class Operation(Protocol):
    """One thing that a connector can do, in two phases: so a repeat can send the same bytes."""

    @property
    def effect(self) -> Effect:
        """What repeating it would do, by its configuration."""
        ...

    @property
    def default_output(self) -> str:
        """`replace` for what reads, `keep` for what writes."""
        ...

    def prepare(self, document: Document, context: StepContext) -> Request:
        """Pure: every expression is evaluated here. Raises `StepError` (data)."""
        ...

    async def perform(self, client: Any, request: Request, call: CallContext) -> Reply:
        """The only I/O: `client` is the opened connector. Raises `StepError` with its class."""
        ...


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the door must know of a submission: concurrency key ("" = none), business keys."""

    concurrency_key: str = ""
    track: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str = ""
    """What a listener's `dedup` gives; empty: the submission keeps its own."""


class Door(Protocol):
    """Evaluates `concurrency.by` and `track`, and what a listener asks of its requests."""

    def stamp(self, documents: Sequence[Document], *, now_ms: int) -> Stamp:
        """Reads the first document. Raises `StepError` (data) for a value that is no text."""
        ...


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that could not be submitted: where it stood, why, and its bytes as far as known."""

    id: DocumentId
    place: str
    reason: str
    content: Any


@dataclass(frozen=True, slots=True)
class TriggerSubmission:
    """One execution that a trigger asks for. The same key again is the same execution."""

    documents: tuple[Document, ...]
    idempotency_key: str
    stamp: Stamp = Stamp()
    content: str = ""
    """What makes two submissions under one key equal; empty: the documents, byte by byte."""


class SubmissionRefused(MoleculeError):
    """The cluster will never accept this submission; `reason_code` is its reason."""

    code = "submission_refused"

    def __init__(self, reason_code: str, message: str = "") -> None:
        super().__init__(f"{reason_code}: {message}" if message else reason_code)
        self.reason_code = reason_code


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """Progress of one event that becomes many executions; commits together with a submit.

    Records below `through` are submitted or kept apart. `rejected` counts all kept apart so far,
    `bad_records` holds those since the last record of this group.
    """

    group: str
    name: str
    through: int
    closed: bool
    rejected: int = 0
    bad_records: tuple[BadRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """What the cluster knows of a group; all zero when it does not know it."""

    known: bool = False
    through: int = 0
    closed: bool = False
    open: int = 0
    failed: int = 0
    rejected: int = 0
    done: bool = False
    """Closed, and every execution of it is terminal."""
    name: str = ""
    """What the last record of it called it."""


class TriggerContext(Protocol):
    """What a running trigger may ask for. Calls raise when the trigger was moved elsewhere."""

    process: str
    environment: str
    client: Any
    """The opened connector of the trigger's connection; None when it names none."""
    door: Door
    tables: Mapping[str, Table]
    on_since_ms: int
    """Cluster time since which the trigger is switched on without a break."""
    activated_at_ms: int
    """Cluster time since which this version is the active one."""

    def submit(
        self, submissions: Sequence[TriggerSubmission], group: GroupRecord | None = None
    ) -> Awaitable[None]:
        """Done when all of it, `group` included, is committed; waits and repeats until then.

        Raises `SubmissionRefused` when a part of it can never be accepted.
        """
        ...

    def group(self, group: str) -> Awaitable[GroupProgress]:
        """What is committed of this group."""
        ...

    def settle_group(self, group: str) -> Awaitable[None]:
        """The end of the group was acted upon: the cluster may forget it."""
        ...

    def wait(self, seconds: float) -> Awaitable[None]:
        """Let time pass."""
        ...

    def now_ms(self) -> int:
        """Cluster time."""
        ...


@dataclass(frozen=True, slots=True)
class Listening:
    """What the gateways of all nodes take for a process; fields as in the wire's `Listener`."""

    method: str
    path: str
    reply: str
    auth: str
    timeout_ms: int
    body_bytes_max: int
    checked: bool
    """True: a worker must look at each request before it is accepted."""


@runtime_checkable
class ListeningTrigger(Protocol):
    """A trigger that runs nowhere: the gateways of all nodes listen for it."""

    listening: Listening

    def admit(self, document: Document, names: Names) -> str:
        """The request's idempotency key, or nothing. Raises `StepError` (data) to refuse it."""
        ...


class Trigger(Protocol):
    """Causes executions: built from its `Config`, runs on one node until cancelled."""

    async def run(self, context: TriggerContext) -> None:
        """Returns only when there is nothing left to do for ever (`manual`)."""
        ...
