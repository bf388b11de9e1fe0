"""The state of an execution: a tree of frames, each one thing that is under way.

A `Sequence` walks a list of steps; inside it stands at most one frame of the step it is at:
`Local` (a pure step is running), `Effects` (requests of an operation, one document after the
other), `Paused` (documents wait for a time or a signal), or a block: `Paths`, `Foreach`, `Try`,
`Branches`. What must stay true: only the interpreter changes frames, and each holds all that
`positions.py` needs to begin again behind the last effect.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from molecule.component.contract import Request
from molecule.definition.definition import StepNode
from molecule.engine.documents import DocumentList
from molecule.engine.failures import Failure
from molecule.engine.instructions import Awaited
from molecule.model.document import Document
from molecule.model.execution import WaitReason
from molecule.model.ids import DocumentId, EffectKey

NO_KEY: Final = EffectKey("")


@dataclass(slots=True, eq=False)
class Sequence:
    """Documents on their way through a list of steps. `parent` is None for a root.

    `name` tells which of the parent's paths it is; `error` is what a catch handles.
    """

    steps: tuple[StepNode, ...]
    documents: DocumentList
    parent: "Block | None" = None
    name: str = ""
    index: int = 0
    error: Failure | None = None
    inner: "Inner | None" = None
    dropped: bool = False
    """Its scope failed: what is under way inside is waited for, nothing more begins."""


@dataclass(slots=True, eq=False)
class Local:
    """A pure step is running with those documents for which `when` holds."""

    sequence: Sequence
    node: StepNode
    chosen: list[int] = field(default_factory=list)
    """Places of the documents that are given to the step; the others pass unchanged."""
    refused: dict[int, Failure] = field(default_factory=dict)
    """Documents whose `when` could not be evaluated."""


class Stage(StrEnum):
    """What an operation's current document waits for."""

    IDLE = "idle"
    PREPARING = "preparing"
    WANTS_COMMIT = "wants_commit"
    PERFORMING = "performing"
    BACKING_OFF = "backing_off"
    VERIFYING = "verifying"
    IN_DOUBT = "in_doubt"
    """Its effect may have happened; it waits for a later owner or a person."""


@dataclass(slots=True)
class Prepared:
    """A document of the current batch: its request, or why it has none. None: it passes by."""

    document: Document
    request: Request | Failure | None


@dataclass(slots=True, eq=False)
class Effects:
    """The documents of one operation, one after the other. `next` counts those dealt with."""

    sequence: Sequence
    node: StepNode
    next: int = 0
    outputs: DocumentList = field(default_factory=DocumentList)
    batch: deque[Prepared] = field(default_factory=deque)
    stage: Stage = Stage.IDLE
    key: EffectKey = NO_KEY
    request: Request | None = None
    """What is being sent; for `once` part of the position, so that a repeat sends the same."""
    is_fresh: bool = False
    """In doubt, and it was this owner that sent it."""
    tries: int = 0
    due_ms: int = 0
    """Cluster time before which the current request may not leave; 0: it may."""
    held_by: WaitReason = WaitReason.RETRY
    """Why it may not."""
    needs: int = 0
    """The outside results that must be committed before the current request may leave."""
    committing: int = 0
    """Number of the commit that holds the intent."""
    verify: Sequence | None = None
    started_at_ms: int = 0
    duration_us: int = 0
    retries: int = 0
    failed: Failure | None = None
    detail: str = ""
    failing: Failure | None = None
    """The steps of `verify` failed, and something of them is still under way."""


@dataclass(slots=True)
class Pending:
    """A document that waits: until `due_ms` (0: no time ends it), or for a signal before that."""

    due_ms: int
    awaited: Awaited | None = None
    fails: bool = False
    """No signal in time is an error of the document."""


@dataclass(slots=True, eq=False)
class Paused:
    """Documents of one step by their places: those that wait, and what became of the others.

    A place that is in neither passes the step unchanged.
    """

    sequence: Sequence
    node: StepNode
    pending: dict[int, Pending] = field(default_factory=dict)
    going: dict[int, DocumentList] = field(default_factory=dict)
    started_at_ms: int = 0
    failed: Failure | None = None


@dataclass(slots=True, eq=False)
class Paths:
    """Documents that a step sent down its paths; one path after the other."""

    sequence: Sequence
    node: StepNode
    inputs: DocumentList
    waiting: dict[str, DocumentList]
    scope: int
    handed: DocumentList = field(default_factory=DocumentList)
    inner: Sequence | None = None
    failing: Failure | None = None
    """It failed and waits until what is under way inside has ended; so for every block."""
    apart: set[DocumentId] = field(default_factory=set)
    """Inputs that were set apart inside and go on alone; so for every block."""
    lost: set[DocumentId] = field(default_factory=set)
    """Inputs that failed alone inside and go on nowhere; so for every block."""
    is_copy: bool = False
    """On a strand, with one document; so for every block."""


@dataclass(slots=True, eq=False)
class Foreach:
    """Items (batches of documents), at most `at_once` of them under way.

    `handed` is what the items before `done` handed on; `early` what later ones did already. With
    `ordered: false` it is what those handed on that ended, and `done` their number.
    """

    sequence: Sequence
    node: StepNode
    inputs: DocumentList
    size: int
    at_once: int
    scope: int
    next: int = 0
    done: int = 0
    handed: DocumentList = field(default_factory=DocumentList)
    early: dict[int, DocumentList] = field(default_factory=dict)
    active: dict[int, Sequence] = field(default_factory=dict)
    failing: Failure | None = None
    apart: set[DocumentId] = field(default_factory=set)
    lost: set[DocumentId] = field(default_factory=set)
    is_copy: bool = False
    started_at_ms: int = 0

    @property
    def items(self) -> int:
        """How many items there are in all."""
        return -(-len(self.inputs) // self.size)


@dataclass(slots=True, eq=False)
class Try:
    """A body, then perhaps one of its catches, then its `finally`; `stage` is the path it is in.

    For `call` the stages are `process` and `returns`.
    """

    sequence: Sequence
    node: StepNode
    inputs: DocumentList
    scope: int
    stage: str = "body"
    handed: DocumentList = field(default_factory=DocumentList)
    failure: Failure | None = None
    """What goes on failing after `finally`."""
    inner: Sequence | None = None
    returned: DocumentList = field(default_factory=DocumentList)
    """What was handed back by `return` inside of a called process."""
    failing: Failure | None = None
    apart: set[DocumentId] = field(default_factory=set)
    lost: set[DocumentId] = field(default_factory=set)
    is_copy: bool = False
    started_at_ms: int = 0


@dataclass(slots=True, eq=False)
class Branches:
    """The same documents down several paths; it is done when `wanted` of them have ended.

    `ended` holds what a path handed on, as far as the step hands on any of it.
    """

    sequence: Sequence
    node: StepNode
    inputs: DocumentList
    scope: int
    waiting: list[str]
    """Paths that have not begun."""
    handed: DocumentList = field(default_factory=DocumentList)
    active: dict[str, Sequence] = field(default_factory=dict)
    ended: dict[str, DocumentList] = field(default_factory=dict)
    failed: dict[str, Failure] = field(default_factory=dict)
    """Paths that failed while enough others may still end."""
    failing: Failure | None = None
    apart: set[DocumentId] = field(default_factory=set)
    lost: set[DocumentId] = field(default_factory=set)
    is_copy: bool = False
    started_at_ms: int = 0


Scope = Paths | Foreach | Try | Branches
"""Blocks have a number, `scope`; a copy on a strand shares it, because it is the same scope."""
Block = Scope | Effects
Inner = Local | Effects | Paused | Paths | Foreach | Try | Branches


def children(inner: Inner) -> Iterator[Sequence]:
    """The sequences directly inside."""
    match inner:
        case Paths() | Try():
            if inner.inner is not None:
                yield inner.inner
        case Foreach() | Branches():
            yield from inner.active.values()
        case Effects():
            if inner.verify is not None:
                yield inner.verify
        case Local() | Paused():
            pass


def within(sequence: Sequence) -> Iterator[Sequence]:
    """The sequence and all those inside it."""
    waiting = [sequence]
    while waiting:
        found = waiting.pop()
        yield found
        if found.inner is not None:
            waiting.extend(children(found.inner))


def root_of(sequence: Sequence) -> Sequence:
    """The root above a sequence."""
    while sequence.parent is not None:
        sequence = sequence.parent.sequence
    return sequence
