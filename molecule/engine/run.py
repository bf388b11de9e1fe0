"""The shared state of one execution while its interpreter runs, and the verbs that all parts use.

Sequences, blocks, effects and words are each in a file of their own and meet only here. What must
stay true: it changes inside `Interpreter.handle` only.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from molecule.component.answer import Answer
from molecule.config import Limits
from molecule.definition.built import RunnableProcess
from molecule.definition.definition import StepNode
from molecule.engine.documents import DocumentList, in_input_order
from molecule.engine.events import OpenIntent, SignalKept
from molecule.engine.failures import Failure
from molecule.engine.frames import Block, Effects, Local, Paused, Sequence, children, within
from molecule.engine.instructions import (
    Awaited,
    Confirmed,
    FailedDocument,
    Instruction,
    PerformRequest,
    PrepareRequests,
    RunStep,
    StartTimer,
    StepNote,
)
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.ids import DocumentId, EffectKey, ExecutionId, SignalId


@dataclass(frozen=True, slots=True)
class ExecutionFacts:
    """What does not change between attempts, besides the process itself.

    `settle_ms`: lease plus margin, after which nothing of an owner that stopped can leave any more.
    """

    execution: ExecutionId
    origin: ExecutionId
    submitted_at_ms: int
    seed: int
    settle_ms: int


@dataclass(slots=True)
class Unsaid:
    """What the next word will say."""

    confirmations: list[Confirmed] = field(default_factory=list)
    notes: list[StepNote] = field(default_factory=list)
    dead_letters: list[FailedDocument] = field(default_factory=list)
    consumed: list[SignalId] = field(default_factory=list)
    answer: Answer | None = None
    """For the HTTP caller; only the first of an execution counts."""


@dataclass(slots=True)
class Progress:
    """Counts of outside results, by which it is known what a commit covers.

    `results` counts answers from outside, `effects` is that count at the last one with an effect,
    `committed` the count that the last committed checkpoint holds.
    """

    results: int = 0
    effects: int = 0
    committed: int = 0


class Run:
    """One execution under interpretation."""

    def __init__(self, process: RunnableProcess, facts: ExecutionFacts, limits: Limits) -> None:
        self.process = process
        self.facts = facts
        self.limits = limits
        self.now_ms = 0
        self.inputs: tuple[Document, ...] = ()
        self.instructions: list[Instruction] = []
        self.ready: deque[Sequence] = deque()
        self.raised: deque[tuple[Sequence, Failure]] = deque()
        self.calls: dict[int, Local | Effects] = {}
        self.timers: dict[int, Effects | Paused] = {}
        self.paused: dict[Effects | Paused, int] = {}
        """What only time, a signal or the leader ends, with its instant; 0: no time ends it."""
        self.signals: dict[Awaited, deque[SignalKept]] = {}
        """Signals that nobody took yet, oldest first."""
        self.deadline_timer = 0
        self.waiting: list[Effects] = []
        """Operations whose request may leave after the next commit."""
        self.drains: list[Block] = []
        """Blocks in which nothing more begins, at least in a path: what is under way is awaited."""
        self.roots: list[Sequence] = []
        """First the execution itself, then strands of documents set apart from it."""
        self.later: list[Sequence] = []
        """Strands of earlier attempts; they go on when the rest is done."""
        self.doubts: list[Effects] = []
        """Operations whose one document waits to be known, each the last thing under its root."""
        self.open: dict[EffectKey, OpenIntent] = {}
        """Effects of earlier owners that this one has not met yet."""
        self.parents: dict[DocumentId, Document] = {}
        """Documents that were split, by id: what `$parent` is for those that descend from them."""
        self.parent_list = DocumentList()
        self.returned = DocumentList()
        """What was handed back by `return` outside of every called process."""
        self.unsaid = Unsaid()
        self.progress = Progress()
        self.sequence = 0
        self.wants_commit = False
        self.said_notes = 0
        self.said_dead_letters = 0
        self.documents_failed = 0
        self.told_failed = 0
        """How many of them earlier ends of attempts have told."""
        self.failure: Failure | None = None
        self.has_ended = False
        """A step ended the execution early."""
        self.bound_execution = _bound_execution(process, facts)
        self.bound_environment = process.environment.bound
        self.scopes = 0
        self._number = 0

    @property
    def is_busy(self) -> bool:
        """True while something is under way, about to leave, or paused for a short while only."""
        return bool(self.calls or self.waiting) or self._goes_on_soon()

    @property
    def is_closing(self) -> bool:
        """True when nothing new begins: it failed or was ended."""
        return self.failure is not None or self.has_ended

    def number(self) -> int:
        """A new number for a call, timer or commit."""
        self._number += 1
        return self._number

    def scope(self) -> int:
        """A new number for a block; never used twice in an execution."""
        self.scopes += 1
        return self.scopes

    def call(
        self, frame: Local | Effects, instruction: RunStep | PrepareRequests | PerformRequest
    ) -> None:
        """Give an instruction whose event is for `frame`."""
        self.calls[instruction.call] = frame
        self.instructions.append(instruction)

    def pause(self, frame: Effects | Paused, until_ms: int) -> None:
        """Have `frame` called again at an instant, here or by a later owner; 0: by a later one."""
        self.paused[frame] = until_ms
        if until_ms:
            timer = self.number()
            self.timers[timer] = frame
            self.instructions.append(StartTimer(timer, max(1, until_ms - self.now_ms)))

    def _goes_on_soon(self) -> bool:
        latest_ms = self.now_ms + self.limits.wait_in_worker_ms_max
        return any(0 < due_ms <= latest_ms for due_ms in self.paused.values())

    def answer(self, answer: Answer) -> bool:
        """Tell the HTTP caller with the next word, which is said at once; False: it was told."""
        if self.unsaid.answer is not None:
            return False
        self.unsaid.answer = answer
        self.wants_commit = True
        return True

    def take_signal(self, awaited: Awaited) -> SignalKept | None:
        """The oldest such signal, which is said to be taken with the next checkpoint."""
        kept = self.signals.get(awaited)
        if not kept:
            return None
        signal = kept.popleft()
        self.unsaid.consumed.append(signal.id)
        return signal

    def complete(self, sequence: Sequence, documents: DocumentList) -> None:
        """The step that `sequence` stands at is done and hands on `documents`."""
        sequence.documents = documents
        sequence.index += 1
        sequence.inner = None
        self.ready.append(sequence)

    def complete_in_order(self, sequence: Sequence, documents: DocumentList) -> None:
        """The same, with the documents put in the order of the inputs that they descend from."""
        inputs = sequence.documents.items
        self.complete(sequence, DocumentList(in_input_order(inputs, documents.items)))

    def fail_step(self, sequence: Sequence, failure: Failure) -> None:
        """The step that `sequence` stands at fails as a whole."""
        self.raised.append((sequence, failure))

    def close(self, failure: Failure | None) -> None:
        """Begin nothing new: the execution fails, or ends early when `failure` is None."""
        if self.is_closing:
            return
        self.failure = failure
        self.has_ended = failure is None
        self.drains = [block for block in self.drains if isinstance(block, Effects)]
        self.drop(self.roots)

    def drop(self, sequences: Iterable[Sequence]) -> None:
        """Let nothing begin inside any more.

        What waits in doubt stays as it is, and a `verify` goes on asking: what was sent must be
        known.
        """
        frames: set[Effects | Local | Paused] = set()
        waiting = list(sequences)
        while waiting:
            sequence = waiting.pop()
            sequence.dropped = True
            if isinstance(sequence.inner, Effects | Local | Paused):
                frames.add(sequence.inner)
            elif sequence.inner is not None:
                waiting.extend(children(sequence.inner))
        self.waiting = [frame for frame in self.waiting if frame not in frames or frame.committing]
        self.timers = {timer: of for timer, of in self.timers.items() if of not in frames}
        self.paused = {frame: due for frame, due in self.paused.items() if frame not in frames}

    def is_under_way(self, sequences: Iterable[Sequence]) -> bool:
        """True while an answer, a commit or a timer is awaited inside."""
        inside = {part for top in sequences for part in within(top)}
        busy = (*self.calls.values(), *self.timers.values(), *self.waiting)
        return any(frame.sequence in inside for frame in busy)

    def drain(self, block: Block) -> None:
        """Have the block looked at again when what is under way inside has ended."""
        if block not in self.drains:
            self.drains.append(block)

    def split(self, document: Document) -> None:
        """Remember it as `$parent` of what descends from it."""
        if document.id not in self.parents:
            self.parents[document.id] = document
            self.parent_list.append(document)

    def confirm(self, key: EffectKey, how: str) -> None:
        """Say with the next word what became of an effect."""
        self.unsaid.confirmations.append(Confirmed(key, how))
        self.open.pop(key, None)

    def note(self, node: StepNode, note: StepNote) -> None:
        """Tell the timeline; silent beyond the bound, which the last row says."""
        if node.config.in_verify and not note.error:
            return
        self.said_notes += 1
        if self.said_notes <= self.limits.timeline_rows_per_execution_max:
            self.unsaid.notes.append(note)

    def dead_letter(self, document: Document, failure: Failure, *, counts: bool) -> None:
        """Keep a failed document for repair. Beyond the bound the execution fails instead."""
        self.said_dead_letters += 1
        allowed = self.limits.dead_letters_per_execution_max
        if self.said_dead_letters > allowed:
            message = f"more than {allowed} dead letters (dead_letters_per_execution_max)"
            self.close(Failure(ErrorClass.LIMIT, "dead_letters", message, failure.step))
            return
        self.unsaid.dead_letters.append(FailedDocument(document, failure))
        self.documents_failed += counts


def _bound_execution(process: RunnableProcess, facts: ExecutionFacts) -> dict[str, Any]:
    # The attempt is not among them: a request that told it would differ when it is repeated.
    started = datetime.fromtimestamp(facts.submitted_at_ms / 1000, UTC)
    return {
        "id": facts.execution,
        "process": process.definition.name,
        "version": process.version,
        "started": started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
