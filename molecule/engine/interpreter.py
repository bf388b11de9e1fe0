"""The interpreter of one execution: `handle(event)` gives the instructions that follow from it.

It walks the process as a tree of frames (`frames.py`) and decides what is committed before what
is sent (`effects.py`, `words.py`); the shell only obeys. What must stay true: no event makes it
repeat a step whose checkpoint is committed, nor send a `once` request whose intent is not.
"""

from collections import deque
from typing import assert_never

from molecule.config import Limits
from molecule.definition.built import RunnableProcess
from molecule.engine import blocks, effects, pauses, positions, sequences, unwinding
from molecule.engine.documents import DocumentList
from molecule.engine.events import (
    Committed,
    Event,
    RequestFailed,
    RequestHeld,
    RequestPerformed,
    RequestsPrepared,
    Started,
    StepRan,
    TimerFired,
)
from molecule.engine.failures import Failure
from molecule.engine.frames import (
    Branches,
    Effects,
    Foreach,
    Local,
    Paths,
    Paused,
    Sequence,
    Try,
    within,
)
from molecule.engine.instructions import Instruction, StartTimer
from molecule.engine.run import ExecutionFacts, Run
from molecule.engine.words import Speaker
from molecule.model.effect import ErrorClass
from molecule.model.errors import invariant

_PASSED_MS = 1
"""What is left to an execution whose deadline has passed: nothing begins."""


class Interpreter:
    """One attempt at one execution. Mutable: changed by `handle` only, one event at a time.

    After `Finish` it gives no more instructions.
    """

    def __init__(self, process: RunnableProcess, facts: ExecutionFacts, limits: Limits) -> None:
        self._run = Run(process, facts, limits)
        self._speaker = Speaker()

    @property
    def is_finished(self) -> bool:
        """True after `Finish`."""
        return self._speaker.is_finished

    def handle(self, event: Event) -> list[Instruction]:
        """What must be done next."""
        run = self._run
        if self.is_finished:
            return []
        run.now_ms = event.at_ms
        match event:
            case Started():
                self._start(event)
            case (
                StepRan()
                | RequestsPrepared()
                | RequestPerformed()
                | RequestFailed()
                | RequestHeld()
            ):
                self._answer(event)
            case Committed():
                self._speaker.committed(run, event.number)
            case TimerFired():
                self._wake(event)
            case _:
                assert_never(event)
        self._advance()
        if run.later and not run.is_busy and not run.paused:
            self._resume_strands()
        self._speaker.settle(run)
        given, run.instructions = run.instructions, []
        return given

    def pause(self) -> list[Instruction]:
        """The word that keeps all that was done so far, when the attempt is to end before its time.

        Its intents need not be said: nothing that waits for them was sent. None while another word
        is under way. What is asked for and not done is done again by the next owner.
        """
        run = self._run
        if self.is_finished:
            return []
        run.wants_commit = True
        self._speaker.settle(run)
        given, run.instructions = run.instructions, []
        return given

    def _start(self, event: Started) -> None:
        run = self._run
        run.inputs = event.documents
        run.sequence = event.sequence
        for signal in event.signals:
            run.signals.setdefault(signal.awaited, deque()).append(signal)
        run.open = {known.effect_key: known for known in event.open_intents}
        if event.deadline_in_ms:
            run.deadline_timer = run.number()
            run.instructions.append(StartTimer(run.deadline_timer, event.deadline_in_ms))
        if event.position:
            positions.restore(run, event.position, event.blobs)
        else:
            _check_ids(run, event)
            steps = run.process.definition.steps
            run.roots = [Sequence(steps, DocumentList(event.documents))]
        run.later = run.roots[1:]
        if event.deadline_in_ms == _PASSED_MS:
            _time_out(run)
        for sequence in list(within(run.roots[0])) if run.roots else ():
            _resume(run, sequence)

    def _resume_strands(self) -> None:
        # A scope that is still under way could fail and take the document of a strand with it, so
        # strands wait until nothing else is.
        run = self._run
        strands, run.later = run.later, []
        for root in strands:
            for sequence in list(within(root)):
                _resume(run, sequence)
        self._advance()

    def _answer(
        self, event: StepRan | RequestsPrepared | RequestPerformed | RequestFailed | RequestHeld
    ) -> None:
        run = self._run
        frame = run.calls.pop(event.call, None)
        invariant(frame is not None, "an answer to a call that was not made", call=event.call)
        match event, frame:
            case StepRan(), Local():
                sequences.ran(run, frame, event)
            case RequestsPrepared(), Effects():
                effects.prepared(run, frame, event)
            case RequestPerformed(), Effects():
                effects.performed(run, frame, event)
            case RequestFailed(), Effects():
                effects.request_failed(run, frame, event)
            case RequestHeld(), Effects():
                effects.request_held(run, frame, event)
            case _:
                invariant(False, "an answer of another kind than its call", call=event.call)

    def _wake(self, event: TimerFired) -> None:
        run = self._run
        if event.timer == run.deadline_timer:
            _time_out(run)
            return
        frame = run.timers.pop(event.timer, None)
        if frame is None:
            return
        # The timer of a worker is the clock of this attempt, whatever it adds up to.
        run.now_ms = max(run.now_ms, run.paused.pop(frame))
        match frame:
            case Effects():
                effects.send(run, frame)
            case Paused():
                pauses.resume(run, frame)

    def _advance(self) -> None:
        run = self._run
        while run.ready or run.raised or (run.drains and unwinding.settle(run)):
            while run.raised:
                sequence, failure = run.raised.popleft()
                unwinding.unwind(run, sequence, failure)
            if run.ready:
                sequences.advance(run, run.ready.popleft())


def _resume(run: Run, sequence: Sequence) -> None:
    match sequence.inner:
        case Effects():
            effects.resume(run, sequence.inner)
        case Paused():
            if not run.is_closing and not sequence.dropped:
                pauses.resume(run, sequence.inner)
        case Paths() | Foreach() | Try() | Branches():
            if not run.is_closing and not sequence.dropped:
                blocks.resume(run, sequence.inner)
        case _:
            run.ready.append(sequence)


def _time_out(run: Run) -> None:
    """Begin nothing new; what became of effects that were sent is still found out."""
    message = "the execution took longer than its time-out"
    run.close(Failure(ErrorClass.LIMIT, "timeout", message))


def _check_ids(run: Run, event: Started) -> None:
    # Documents of one id would share their effect keys, so one effect would stand for both.
    if len({document.id for document in event.documents}) != len(event.documents):
        message = "two documents of the input have the same id"
        run.close(Failure(ErrorClass.DATA, "duplicate_document", message))
