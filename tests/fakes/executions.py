"""One execution in memory: its committed words, its owners one after the other, crashes on purpose.

It keeps what the cluster keeps (position, blobs, open intents) and obeys the interpreter like a
worker, without network or time. Answers come in an order drawn from a seed.
"""

import random
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from molecule.component.answer import Answer
from molecule.component.contract import CallContext, Reply, Table
from molecule.component.registry import Registry
from molecule.config import Limits
from molecule.definition.built import Environment, ProcessDoor, RunnableProcess
from molecule.definition.calls import Processes
from molecule.definition.definition import MaxFailed
from molecule.definition.findings import Findings
from molecule.definition.parse import parse_process
from molecule.definition.tables import read_table
from molecule.engine import failures, positions
from molecule.engine.events import (
    Committed,
    Event,
    OpenIntent,
    RequestFailed,
    RequestPerformed,
    RequestsPrepared,
    SignalKept,
    Started,
    StepRan,
    TimerFired,
)
from molecule.engine.failures import Failure
from molecule.engine.instructions import (
    Awaited,
    Commit,
    Finish,
    Instruction,
    PerformRequest,
    PrepareRequests,
    RunStep,
    StartTimer,
    StepNote,
)
from molecule.engine.interpreter import Interpreter
from molecule.engine.run import ExecutionFacts
from molecule.model.document import Document
from molecule.model.errors import StepError
from molecule.model.execution import ExecutionState
from molecule.model.ids import Digest, DocumentId, EffectKey, ExecutionId, SignalId, VersionId
from molecule.worker import components
from tests.fakes import target as fake_target
from tests.fakes.target import Target

NOW_MS = 1_700_000_000_000
ANSWER_MS = 100
"""After the start of an attempt each event happens so late."""
HEAD = "molecule: 1\nprocess: story\ntrigger: {type: target.never}\n"
LIMITS = Limits()


def a_process(
    steps: str,
    *,
    max_failed: MaxFailed | None = None,
    registry: Registry | None = None,
    limits: Limits = LIMITS,
    called: Mapping[str, str] | None = None,
    tables: Mapping[str, str] | None = None,
) -> RunnableProcess:
    """A process with these steps (YAML), opened for an empty environment.

    `called` are processes that it may call: name -> YAML from `trigger` on; `tables` are CSV files.
    """
    text = HEAD + steps
    known = registry or fake_target.registry()
    files = {
        f"processes/{name}.yaml": f"molecule: 1\nprocess: {name}\n{body}".encode()
        for name, body in (called or {}).items()
    }
    parsed = parse_process(
        text.encode(),
        "processes/story.yaml",
        known,
        limits,
        connections={},
        tables=set(tables or ()),
        processes=Processes(files, limits),
    )
    assert not parsed.findings, [str(finding) for finding in parsed.findings]
    definition = parsed.definition
    assert definition is not None
    if max_failed is not None:
        definition = replace(definition, options=replace(definition.options, max_failed=max_failed))
    environment = Environment("test")
    version = VersionId("v1")
    door = ProcessDoor(definition.options, environment, definition.name, version, limits)
    read = {name: a_table(name, text) for name, text in (tables or {}).items()}
    return RunnableProcess(definition, version, environment, {}, read, door)


def a_table(name: str, text: str) -> Table:
    """A table of this CSV text."""
    table = read_table(name, text.encode(), Findings(f"{name}.csv", bound=9))
    assert table is not None
    return table


def documents(*values: Any) -> tuple[Document, ...]:
    """Documents with ids from 0."""
    return tuple(Document(DocumentId(str(at)), value) for at, value in enumerate(values))


class Crashed(BaseException):
    """The owner died."""


Crash = Callable[[str, Instruction], bool]


def never(point: str, instruction: Instruction) -> bool:
    """No crash."""
    del point, instruction
    return False


def at_points(numbers: Iterable[int]) -> Crash:
    """Crash when the n-th point (from 0) is passed, for each n given."""
    wanted = set(numbers)
    passed = iter(range(1_000_000))
    return lambda _point, _instruction: next(passed) in wanted


@dataclass
class Kept:
    """What the cluster holds of one execution."""

    position: bytes = b""
    blobs: dict[Digest, bytes] = field(default_factory=dict)
    sequence: int = 0
    intents: dict[EffectKey, str] = field(default_factory=dict)
    """effect key -> resolution"""
    steps: dict[EffectKey, str] = field(default_factory=dict)
    words: int = 0
    notes: list[StepNote] = field(default_factory=list)
    dead_letters: list[tuple[Any, str]] = field(default_factory=list)
    intents_ever: list[EffectKey] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    """What was said to the HTTP caller, each time it was said."""


class Execution:
    """Runs owners until one finishes for good. `ran` counts runs of local steps by path."""

    def __init__(
        self,
        process: RunnableProcess,
        given: tuple[Document, ...],
        *,
        target: Target | None = None,
        crash: Crash = never,
        seed: int = 0,
        limits: Limits = LIMITS,
    ) -> None:
        self.process, self.given, self.limits = process, given, limits
        self.target = target if target is not None else Target()
        self.crash = crash
        self.name = "e1"
        self.kept = Kept()
        self.attempts = 0
        self.finishes: list[Finish] = []
        self.ran: dict[str, int] = {}
        self.delays: list[int] = []
        self.letters: list[DocumentId] = []
        """Ids of the documents that became dead letters."""
        self.most_at_once = 0
        self.fire_deadline = False
        self.forgets_resolved = False
        """True: at each checkpoint the cluster forgets every intent that is resolved."""
        self.now_ms = NOW_MS
        """Cluster time; it passes while the execution is WAITING."""
        self.signals: list[SignalKept] = []
        """Kept by the cluster, in the order in which they came."""
        self.taken: list[str] = []
        self._chance = random.Random(seed)

    def run(self, *, attempts_max: int = 200) -> Finish:
        """Owner after owner, until COMPLETED, FAILED or IN_DOUBT."""
        while self.attempts < attempts_max:
            try:
                finish = self.attempt()
            except Crashed:
                continue
            if finish.state is not ExecutionState.WAITING:
                return finish
            if not self._wait(finish):
                return finish
        raise AssertionError(f"not finished after {attempts_max} attempts")

    def _wait(self, finish: Finish) -> bool:
        """Let time pass until the wait is over; False when only a signal would end it."""
        if any(signal.awaited in finish.awaited for signal in self.signals):
            return True
        if finish.wait_until_ms:
            self.delays.append(finish.wait_until_ms - self.now_ms - ANSWER_MS)
            self.now_ms = max(self.now_ms, finish.wait_until_ms)
        self.now_ms += finish.wait_ms
        return bool(finish.wait_until_ms or finish.wait_ms)

    def signal(self, name: str, value: Any = None, *, correlation: str = "") -> None:
        """Somebody tells the execution something."""
        self._told = getattr(self, "_told", 0) + 1
        awaited = Awaited(name, correlation)
        self.signals.append(SignalKept(SignalId(f"s{self._told}"), awaited, value))

    def answer(self, key: str, answer: str) -> None:
        """A person resolves an effect in doubt."""
        assert key in self.kept.intents, self.kept.intents
        self.kept.intents[EffectKey(key)] = answer

    def attempt(self) -> Finish:
        """One owner, from what is committed to its end. Raises `Crashed`."""
        self.attempts += 1
        facts = ExecutionFacts(
            ExecutionId(self.name), ExecutionId(self.name), 1_700_000_000_000, 7, settle_ms=2_750
        )
        interpreter = Interpreter(self.process, facts, self.limits)
        waiting: list[Instruction] = []
        event: Event | None = self._started()
        while event is not None:
            for instruction in interpreter.handle(event):
                if isinstance(instruction, Finish):
                    assert not any(not isinstance(left, StartTimer) for left in waiting)
                    return self._finish(instruction)
                waiting.append(instruction)
            self.most_at_once = max(
                self.most_at_once, sum(isinstance(item, PerformRequest) for item in waiting)
            )
            assert waiting, "the interpreter waits for nothing"
            choices = [item for item in waiting if not self._is_deadline(item)] or waiting
            chosen = self.choose(choices)
            waiting.remove(chosen)
            event = self._obey(chosen)
        raise AssertionError

    def choose(self, choices: list[Instruction]) -> Instruction:
        """Which of the things under way ends next."""
        return choices[self._chance.randrange(len(choices))]

    def _is_deadline(self, item: Instruction) -> bool:
        return isinstance(item, StartTimer) and item.timer == 1 and not self.fire_deadline

    def _started(self) -> Started:
        digests = positions.references(self.kept.position) if self.kept.position else []
        return Started(
            at_ms=self.now_ms,
            documents=self.given,
            position=self.kept.position,
            blobs={digest: self.kept.blobs[digest] for digest in digests},
            sequence=self.kept.sequence,
            open_intents=tuple(
                OpenIntent(key, self.kept.steps[key], resolution)
                for key, resolution in self.kept.intents.items()
            ),
            deadline_in_ms=1_000 if self.fire_deadline else 0,
            signals=tuple(self.signals),
        )

    def _point(self, name: str, instruction: Instruction) -> None:
        if self.crash(name, instruction):
            raise Crashed

    def _obey(self, instruction: Instruction) -> Event:
        self._point("before", instruction)
        event = self._event(instruction)
        self._point("after", instruction)
        return event

    def _event(self, item: Instruction) -> Event:
        at_ms = self.now_ms + ANSWER_MS
        match item:
            case RunStep():
                self.ran[item.step.path] = self.ran.get(item.step.path, 0) + 1
                outcomes = components.run_step(item)
                lines, answers = components.lines(item), components.answers(item)
                return StepRan(item.call, at_ms, 10, outcomes, lines, answers)
            case PrepareRequests():
                return RequestsPrepared(item.call, at_ms, 10, components.prepare(item))
            case PerformRequest():
                return self._perform(item, at_ms)
            case Commit():
                self._commit(item)
                return Committed(item.number, at_ms)
            case StartTimer():
                self.delays.append(item.delay_ms)
                return TimerFired(item.timer, at_ms)
            case Finish():
                raise AssertionError

    def _perform(self, item: PerformRequest, at_ms: int) -> Event:
        sent = False

        def before_send() -> None:
            nonlocal sent
            sent = True

        call = CallContext(item.effect_key, 1.0, 1.0, before_send, item.retry)
        found = _now(item.step.component.perform(self.client(item), item.request, call))
        if isinstance(found, Failure):
            return RequestFailed(item.call, at_ms, 10, found, sent)
        return RequestPerformed(item.call, at_ms, 10, found)

    def client(self, item: PerformRequest) -> Any:
        """What the operation talks to."""
        del item
        return self.target

    def _commit(self, item: Commit) -> None:
        kept = self.kept
        kept.words += 1
        self._confirm(item)
        self._checkpoint(item)
        for intent in item.intents:
            assert kept.intents.get(intent.effect_key) not in ("", "ask"), "an intent twice"
            kept.intents[intent.effect_key] = ""
            kept.steps[intent.effect_key] = intent.step
            kept.intents_ever.append(intent.effect_key)

    def _confirm(self, item: Commit | Finish) -> None:
        for confirmed in item.confirmations:
            assert self.kept.intents.pop(confirmed.effect_key) in ("", "ask"), confirmed

    def _checkpoint(self, item: Commit | Finish) -> None:
        kept = self.kept
        if item.answer is not None:
            kept.answers.append(item.answer)
        if item.checkpoint is not None:
            assert item.checkpoint.sequence == kept.sequence + 1
            kept.sequence = item.checkpoint.sequence
            kept.position = item.checkpoint.position
            taken = item.checkpoint.consumed
            assert set(taken) <= {signal.id for signal in self.signals}, "a signal taken twice"
            self.signals = [signal for signal in self.signals if signal.id not in taken]
            self.taken.extend(taken)
            if self.forgets_resolved:
                kept.intents = {key: how for key, how in kept.intents.items() if how in ("", "ask")}
            kept.blobs.update({blob.digest: blob.content for blob in item.checkpoint.blobs})
        kept.notes.extend(item.steps)
        kept.dead_letters.extend(
            (letter.document.value, letter.failure.code) for letter in item.dead_letters
        )
        self.letters.extend(letter.document.id for letter in item.dead_letters)

    def _finish(self, item: Finish) -> Finish:
        self._point("before", item)
        self.kept.words += 1
        self._confirm(item)
        self._checkpoint(item)
        if item.checkpoint is None:
            kept = self.kept
            kept.intents = {key: how for key, how in kept.intents.items() if how in ("", "ask")}
        self.finishes.append(item)
        return item


def _now(work: Coroutine[Any, Any, Reply]) -> Reply | Failure:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        reply: Reply = done.value
        return reply
    except StepError as error:
        return failures.of_error(error)
    raise AssertionError("the fake target does not wait")
