"""What an execution says to the cluster: checkpoints with intents, and the end of the attempt.

One word is under way at a time, and the next gathers all that has come up since. What must stay
true: a word's checkpoint holds exactly what its confirmations confirm, and every intent's
request.
"""

from molecule.component.contract import Request
from molecule.definition.definition import MaxFailed, StepNode
from molecule.engine import documents, effects, pauses, positions
from molecule.engine.documents import DocumentList, in_input_order
from molecule.engine.failures import Failure
from molecule.engine.frames import Effects, Paused, Sequence
from molecule.engine.instructions import Checkpoint, Commit, Finish, PlannedIntent
from molecule.engine.run import Run, Unsaid
from molecule.model.document import Document
from molecule.model.effect import Effect, ErrorClass
from molecule.model.errors import invariant
from molecule.model.execution import ExecutionState


class Speaker:
    """Says words for one execution. Changed by the interpreter only."""

    def __init__(self) -> None:
        self._number = 0
        self._covers = 0
        self._stored: set[str] = set()
        self.is_finished = False

    def settle(self, run: Run) -> None:
        """Say what must be said now: a commit, the end, or nothing."""
        if self._number or self.is_finished:
            return
        if run.is_busy and run.wants_commit:
            self._commit(run)
        elif not run.is_busy:
            self.is_finished = True
            run.instructions.append(self._finish(run))

    def committed(self, run: Run, number: int) -> None:
        """The word is committed: what waited for it may leave, unless it was dropped meanwhile."""
        invariant(number == self._number, "an answer to a word that was not said", number=number)
        self._number = 0
        run.progress.committed = max(run.progress.committed, self._covers)
        waiting, run.waiting = run.waiting, []
        for frame in waiting:
            if frame.node.effect is Effect.ONCE:
                is_ready = frame.committing == number
            else:
                is_ready = frame.needs <= run.progress.committed
            if not is_ready:
                run.waiting.append(frame)
            elif frame.sequence.dropped:
                run.confirm(frame.key, "failed_definitely")
            else:
                effects.perform(run, frame)
        run.wants_commit = run.wants_commit or bool(run.waiting)

    def _commit(self, run: Run) -> None:
        self._number = run.number()
        self._covers = run.progress.results
        run.wants_commit = False
        intents = tuple(
            self._intent(run, frame) for frame in run.waiting if frame.node.effect is Effect.ONCE
        )
        checkpoint = self._checkpoint(run)
        said, run.unsaid = run.unsaid, Unsaid()
        run.instructions.append(
            Commit(
                self._number,
                checkpoint,
                tuple(said.confirmations),
                intents,
                tuple(said.notes),
                tuple(said.dead_letters),
                said.answer,
            )
        )

    def _intent(self, run: Run, frame: Effects) -> PlannedIntent:
        frame.committing = self._number
        request = frame.request
        invariant(request is not None, "an intent without a request", step=frame.node.path)
        return PlannedIntent(
            frame.key,
            frame.node.path,
            frame.sequence.documents[frame.next].id,
            frame.node.effect,
            effects.leaves_within_ms(run, frame),
            target_of(frame.node, request),
            documents.block_of(positions.encode_request(request)).reference,
            frame.node.verify is not None,
        )

    def _checkpoint(self, run: Run) -> Checkpoint:
        run.sequence += 1
        encoded = positions.encode(run)
        new = tuple(blob for blob in encoded.blobs if blob.digest not in self._stored)
        self._stored.update(blob.digest for blob in new)
        consumed, run.unsaid.consumed = tuple(run.unsaid.consumed), []
        return Checkpoint(run.sequence, encoded.content, new, encoded.refers_to, consumed)

    def _finish(self, run: Run) -> Finish:
        state, failure, wait_ms = _verdict(run)
        first = _first_paused(run)
        goes_on = state in (ExecutionState.IN_DOUBT, ExecutionState.WAITING)
        doubts = len(run.doubts) + len(run.open)
        reasons = {
            ExecutionState.IN_DOUBT: f"{_effects(doubts)} in doubt",
            ExecutionState.WAITING: f"{_effects(doubts)} to be verified",
        }
        if first is not None:
            reasons[ExecutionState.WAITING] = pauses.reason_of(first).value
        failed_now = run.documents_failed - run.told_failed
        run.told_failed = run.documents_failed
        checkpoint = self._checkpoint(run) if goes_on else None
        said, run.unsaid = run.unsaid, Unsaid()
        return Finish(
            state,
            _result(run) if state is ExecutionState.COMPLETED else (),
            checkpoint,
            tuple(said.confirmations),
            tuple(said.notes),
            tuple(said.dead_letters),
            failed_now,
            failure,
            reasons.get(state, failure.code if failure else ""),
            wait_ms,
            first.node.path if first is not None else _place(run, failure),
            run.paused[first] if first is not None else 0,
            pauses.awaited(run.paused),
            pauses.gate_of(run.paused),
            said.answer,
        )


def target_of(node: StepNode, request: Request | None) -> str:
    """Where an effect was going, for a person who must find out whether it arrived."""
    told = request.target if request is not None else ""
    return f"{node.connection}: {told}" if node.connection else told


def _verdict(run: Run) -> tuple[ExecutionState, Failure | None, int]:
    """How the attempt ends. Doubts come first: no end may hide that an effect is not known.

    Before them comes what goes on later: a doubt stops only its own document.
    """
    if run.paused:
        return ExecutionState.WAITING, None, 0
    # Intents of earlier owners that no step met: their step is gone or their key has changed.
    unmet = [known for known in run.open.values() if known.resolution in ("", "ask")]
    waits = [
        effects.timeout_ms(run, frame) + run.facts.settle_ms + frame.node.verify.after_ms
        for frame in run.doubts
        if frame.is_fresh and frame.node.verify is not None
    ]
    if waits:
        return ExecutionState.WAITING, None, max(waits)
    if run.doubts or unmet:
        failed = next((frame.failed for frame in run.doubts if frame.failed), None)
        return ExecutionState.IN_DOUBT, failed, 0
    if run.failure is not None:
        return ExecutionState.FAILED, run.failure, 0
    allowed = _allowed(run.process.definition.options.max_failed, len(run.inputs))
    if run.documents_failed > allowed:
        message = f"{run.documents_failed} documents failed, max_failed allows {allowed}"
        return ExecutionState.FAILED, Failure(ErrorClass.DATA, "max_failed", message), 0
    is_over = run.has_ended or all(root.dropped or root.inner is None for root in run.roots)
    invariant(is_over, "an execution would complete with documents on their way")
    return ExecutionState.COMPLETED, None, 0


def _first_paused(run: Run) -> Effects | Paused | None:
    """What goes on first of all that waits; what no time ends comes last."""
    timed = [frame for frame, due_ms in run.paused.items() if due_ms]
    return min(timed, key=run.paused.__getitem__, default=next(iter(run.paused), None))


def _allowed(bound: MaxFailed, documents_in: int) -> int:
    if bound.percent is not None:
        return int(documents_in * bound.percent / 100)
    return bound.count


def _result(run: Run) -> tuple[Document, ...]:
    ended = [root for root in run.roots if _is_at_end(root) and not run.has_ended]
    if len(ended) == 1 and not run.returned:
        # Every step kept the order that it promises; only strands must be put between the others.
        return tuple(ended[0].documents)
    found = DocumentList(run.returned)
    for root in ended:
        found.extend(root.documents)
    return tuple(in_input_order(run.inputs, found.items))


def _is_at_end(root: Sequence) -> bool:
    return root.inner is None and not root.dropped


def _place(run: Run, failure: Failure | None) -> str:
    if failure is not None:
        return failure.step
    return run.doubts[0].node.path if run.doubts else ""


def _effects(count: int) -> str:
    return f"{count} effect" if count == 1 else f"{count} effects"
