"""Instructions: what must be done next for one execution. The interpreter gives, a shell obeys.

One frozen class each; the shell has one `match` over `Instruction`. What must stay true: a
request of effect `once` is performed only after the `Commit` that holds its intent was answered.
"""

from dataclasses import dataclass

from molecule.component.answer import Answer
from molecule.component.contract import Request, StepContext
from molecule.definition.definition import StepNode
from molecule.engine.failures import Failure
from molecule.model.document import Document, DocumentRef
from molecule.model.effect import Effect
from molecule.model.execution import ExecutionState
from molecule.model.ids import Digest, EffectKey, SignalId


@dataclass(frozen=True, slots=True)
class Awaited:
    """A signal that a document waits for."""

    name: str
    correlation: str = ""


@dataclass(frozen=True, slots=True)
class StepNote:
    """One run of a step, for the timeline."""

    step: str
    type: str
    started_at_ms: int
    duration_us: int
    documents_in: int
    documents_out: int
    retries: int = 0
    error: str = ""
    error_code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FailedDocument:
    """A document for the dead letters: as it was when the step got it."""

    document: Document
    failure: Failure


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes to be stored under their digest before the word that names it is said."""

    digest: Digest
    content: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A place from which the execution resumes.

    `blobs` are those this owner did not store before; `refers_to` names all that it needs;
    `consumed` names the signals that went into it since the one before.
    """

    sequence: int
    position: bytes
    blobs: tuple[Blob, ...]
    refers_to: tuple[DocumentRef, ...]
    consumed: tuple[SignalId, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedIntent:
    """An effect about to be sent. `request` is None when it is small: it stands in the position."""

    effect_key: EffectKey
    step: str
    document: str
    effect: Effect
    timeout_ms: int
    target: str
    request: DocumentRef | None
    verifiable: bool


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What became of an effect: `sent | verified_done | verified_not_done | failed_definitely`."""

    effect_key: EffectKey
    how: str


@dataclass(frozen=True, slots=True)
class RunStep:
    """Run a local step: `process` with each document and its context, or `process_list` with all.

    For a list step `contexts` has one item.
    """

    call: int
    step: StepNode
    documents: tuple[Document, ...]
    contexts: tuple[StepContext, ...]


@dataclass(frozen=True, slots=True)
class PrepareRequests:
    """Call the operation's `prepare` with each document and its context."""

    call: int
    step: StepNode
    documents: tuple[Document, ...]
    contexts: tuple[StepContext, ...]


@dataclass(frozen=True, slots=True)
class PerformRequest:
    """Send it, within `timeout_ms`; lease and token are checked directly before the bytes leave."""

    call: int
    step: StepNode
    request: Request
    effect_key: EffectKey
    timeout_ms: int
    retry: int


@dataclass(frozen=True, slots=True)
class Commit:
    """Say all of it as one word, confirmations first, and answer when it is committed.

    At most one is under way; a word that was refused ends the execution here without an answer.
    """

    number: int
    checkpoint: Checkpoint
    confirmations: tuple[Confirmed, ...]
    intents: tuple[PlannedIntent, ...]
    steps: tuple[StepNote, ...]
    dead_letters: tuple[FailedDocument, ...]
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Answer with `TimerFired` after this long."""

    timer: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The attempt is over: COMPLETED, FAILED, IN_DOUBT or WAITING. Nothing follows.

    WAITING: for `wait_ms`, until the cluster time `wait_until_ms`, or until one of `awaited` comes,
    whichever is first; without all three until the leader lets it go on. `checkpoint` stands when
    the execution goes on later; `documents_failed` counts those of this attempt. `gate` names the
    connection that takes no calls now: the leader may let it go on at any time.
    """

    state: ExecutionState
    documents: tuple[Document, ...]
    checkpoint: Checkpoint | None
    confirmations: tuple[Confirmed, ...]
    steps: tuple[StepNote, ...]
    dead_letters: tuple[FailedDocument, ...]
    documents_failed: int = 0
    failure: Failure | None = None
    reason: str = ""
    wait_ms: int = 0
    step: str = ""
    wait_until_ms: int = 0
    awaited: tuple[Awaited, ...] = ()
    gate: str = ""
    answer: Answer | None = None


Instruction = RunStep | PrepareRequests | PerformRequest | Commit | StartTimer | Finish
