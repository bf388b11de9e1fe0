"""What only time, a signal or the leader ends: delays of retries, `wait`, `await`, a closed gate.

A short pause stays in the worker; when nothing else is under way and the next instant is further
off, the attempt ends as WAITING and holds no slot (`words.py`). What must stay true: a paused frame
is in the position, so that its instant and its count of tries outlive every owner.
"""

from collections.abc import Iterable, Mapping

from molecule.component.contract import Pause
from molecule.engine import outcomes
from molecule.engine.documents import DocumentList
from molecule.engine.events import Outcome
from molecule.engine.failures import Failure
from molecule.engine.frames import Effects, Local, Paused, Pending
from molecule.engine.instructions import Awaited, StepNote
from molecule.engine.run import Run
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.execution import WaitReason

TIMEOUT_CODE = "await_timeout"
"""The error code of a document whose signal did not come in time."""


def hold(run: Run, frame: Effects, *, until_ms: int, reason: WaitReason) -> None:
    """Let an operation wait before its current request; 0: until the leader lets it go on.

    The request, or for what is not `once` the document, and the count of tries go with the
    position. A later owner calls `effects.resume`, which comes back here while it is too early.
    """
    frame.due_ms, frame.held_by = until_ms, reason
    run.pause(frame, until_ms)


def begin(run: Run, frame: Local, results: Mapping[int, Outcome]) -> None:
    """Let the documents wait for which the step asked it; what became of the others is kept."""
    paused = Paused(frame.sequence, frame.node, started_at_ms=run.now_ms)
    for place, document in enumerate(frame.sequence.documents):
        found = results.get(place)
        if isinstance(found, Pause):
            paused.pending[place] = _pending(run, frame, found)
        elif isinstance(found, Failure):
            paused.failed = found.at(frame.node.path)
            going = outcomes.after_failure(run, frame.sequence, frame.node, document, found)
            if going is None:
                _note(run, paused)
                return
            paused.going[place] = DocumentList(going)
        elif isinstance(found, tuple):
            paused.going[place] = DocumentList(emit.document for emit in found)
    frame.sequence.inner = paused
    resume(run, paused)


def resume(run: Run, frame: Paused) -> None:
    """Take the signals that are there, let go whose time has come, and wait for the rest."""
    for place, pending in list(frame.pending.items()):
        signal = run.take_signal(pending.awaited) if pending.awaited else None
        if signal is not None:
            run.progress.results += 1
            _go(run, frame, place, (signal.value,))
        elif 0 < pending.due_ms <= run.now_ms:
            _time_came(run, frame, place)
        if frame.sequence.dropped or frame.sequence.inner is not frame:
            return
    if not frame.pending:
        _complete(run, frame)
        return
    if len(frame.pending) > run.limits.awaited_per_execution_max:
        allowed = run.limits.awaited_per_execution_max
        message = f"{len(frame.pending)} documents wait at once (awaited_per_execution_max)"
        run.close(Failure(ErrorClass.LIMIT, "awaited", f"{message}: {allowed}", frame.node.path))
        return
    run.pause(frame, _due_ms(frame))


def awaited(frames: Iterable[Effects | Paused]) -> tuple[Awaited, ...]:
    """The signals that these wait for, each once."""
    found = [
        pending.awaited
        for frame in frames
        if isinstance(frame, Paused)
        for pending in frame.pending.values()
        if pending.awaited is not None
    ]
    return tuple(dict.fromkeys(found))


def gate_of(frames: Iterable[Effects | Paused]) -> str:
    """The connection whose closed gate one of these waits at; empty when none does."""
    at_gates = (
        frame.node.connection or ""
        for frame in frames
        if isinstance(frame, Effects) and frame.held_by in (WaitReason.BREAKER, WaitReason.RATE)
    )
    return next(at_gates, "")


def reason_of(frame: Effects | Paused) -> WaitReason:
    """Why this frame waits."""
    if isinstance(frame, Effects):
        return frame.held_by
    has_signal = any(pending.awaited is not None for pending in frame.pending.values())
    return WaitReason.SIGNAL if has_signal else WaitReason.TIMER


def _pending(run: Run, frame: Local, asked: Pause) -> Pending:
    awaits = Awaited(asked.signal, asked.correlation) if asked.signal else None
    due_ms = asked.until_ms or 0
    for_ms = frame.node.timeout_ms if awaits and asked.for_ms is None else asked.for_ms
    if for_ms is not None:
        due_ms = run.now_ms + for_ms
    return Pending(max(due_ms, 1) if due_ms or not awaits else 0, awaits, fails=asked.fails)


def _time_came(run: Run, frame: Paused, place: int) -> None:
    pending = frame.pending[place]
    if pending.awaited is None or not pending.fails:
        _go(run, frame, place, None)
        return
    document = frame.sequence.documents[place]
    message = f"no signal {pending.awaited.name} came in time"
    failure = Failure(ErrorClass.LIMIT, TIMEOUT_CODE, message, frame.node.path)
    del frame.pending[place]
    frame.failed = failure
    going = outcomes.after_failure(run, frame.sequence, frame.node, document, failure)
    if going is None:
        _note(run, frame)
        frame.sequence.inner = None
        return
    frame.going[place] = DocumentList(going)


def _go(run: Run, frame: Paused, place: int, values: tuple[object, ...] | None) -> None:
    """The document goes on: with what the signal brought, or as it was."""
    document = frame.sequence.documents[place]
    going: list[Document] | Failure | None = [document]
    if values is not None:
        going = outcomes.with_values(run, frame.node, document, values)
    if isinstance(going, Failure):
        frame.failed = going
        going = outcomes.after_failure(run, frame.sequence, frame.node, document, going)
    del frame.pending[place]
    if going is None:
        _note(run, frame)
        frame.sequence.inner = None
        return
    frame.going[place] = DocumentList(going)


def _complete(run: Run, frame: Paused) -> None:
    _note(run, frame)
    onward = DocumentList()
    for place, document in enumerate(frame.sequence.documents):
        if place in frame.going:
            onward.extend(frame.going[place])
        else:
            onward.append(document)
    run.complete(frame.sequence, onward)


def _note(run: Run, frame: Paused) -> None:
    failure = frame.failed
    run.note(
        frame.node,
        StepNote(
            frame.node.path,
            frame.node.type,
            frame.started_at_ms,
            max(0, run.now_ms - frame.started_at_ms) * 1_000,
            len(frame.sequence.documents),
            sum(len(found) for found in frame.going.values()),
            error=failure.message if failure else "",
            error_code=failure.code if failure else "",
        ),
    )


def _due_ms(frame: Paused) -> int:
    return min((one.due_ms for one in frame.pending.values() if one.due_ms), default=0)
