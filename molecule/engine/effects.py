"""Operations: a request per document, prepared, committed as its effect asks, sent, answered.

What may be sent when, by effect:

    pure        once what earlier effects did is committed
    idempotent  once every outside result that it may depend on is committed, so that a repeat sends
                the same bytes; up to `effects_per_checkpoint_max` documents between two checkpoints
    once        once its own intent is committed, together with all of that

What must stay true: a `once` request is sent again only when it is known that it did not happen.
"""

from molecule.component.contract import Request
from molecule.engine import contexts, outcomes, pauses, retries, verification
from molecule.engine.documents import DocumentList, in_input_order
from molecule.engine.events import (
    OpenIntent,
    RequestFailed,
    RequestHeld,
    RequestPerformed,
    RequestsPrepared,
)
from molecule.engine.failures import Failure
from molecule.engine.frames import NO_KEY, Effects, Prepared, Sequence, Stage
from molecule.engine.instructions import PerformRequest, PrepareRequests, StepNote
from molecule.engine.run import Run
from molecule.engine.verification import Verdict
from molecule.model.document import Document
from molecule.model.effect import Effect, ErrorClass
from molecule.model.execution import WaitReason


def proceed(run: Run, frame: Effects) -> None:
    """Go on with the next document, or hand on what the step made when none is left."""
    while True:
        if frame.sequence.dropped or frame.next >= len(frame.sequence.documents):
            break
        if not frame.batch:
            _prepare(run, frame)
            if frame.stage is Stage.PREPARING:
                return
        item = frame.batch[0]
        if item.request is None:
            _dealt_with(frame, [item.document])
        elif isinstance(item.request, Failure):
            if not _refused(run, frame, item.document, item.request):
                return
        else:
            _begin(run, frame, item.document, item.request)
            return
    if not frame.sequence.dropped:
        _complete(run, frame)


def resume(run: Run, frame: Effects) -> None:
    """Go on after a restart: with the effect that was under way, or with the next document."""
    known = run.open.get(frame.key) if frame.key else None
    if known is not None:
        _resolve(run, frame, known)
    elif frame.request is None or frame.sequence.dropped:
        frame.stage = Stage.IDLE
        proceed(run, frame)
    else:
        send(run, frame)


def prepared(run: Run, frame: Effects, event: RequestsPrepared) -> None:
    """The requests of a batch are made; those that pass by stand between them already."""
    found = iter(event.requests)
    frame.duration_us += event.duration_us
    for item in frame.batch:
        if isinstance(item.request, Request):
            item.request = next(found)
    frame.stage = Stage.IDLE
    proceed(run, frame)


def send(run: Run, frame: Effects) -> None:
    """Let the current request leave as soon as all that must be committed before is."""
    if frame.due_ms > run.now_ms:
        pauses.hold(run, frame, until_ms=frame.due_ms, reason=frame.held_by)
        return
    frame.due_ms = 0
    is_committed = frame.needs <= run.progress.committed
    if frame.node.effect is not Effect.ONCE and is_committed:
        perform(run, frame)
        return
    frame.stage = Stage.WANTS_COMMIT
    frame.committing = 0
    run.waiting.append(frame)
    run.wants_commit = True


def perform(run: Run, frame: Effects) -> None:
    """Send the current request now."""
    frame.stage = Stage.PERFORMING
    request = frame.request
    if request is None:
        return
    run.call(
        frame,
        PerformRequest(
            run.number(),
            frame.node,
            request,
            frame.key,
            timeout_ms(run, frame),
            frame.tries,
        ),
    )


def performed(run: Run, frame: Effects, event: RequestPerformed) -> None:
    """The target answered: the effect is done."""
    frame.duration_us += event.duration_us
    frame.detail = event.reply.detail
    _count_result(run, frame)
    if frame.node.effect is Effect.ONCE or _is_remembered(frame):
        run.confirm(frame.key, "sent")
    if event.reply.ends:
        outcomes.lose(frame.sequence, frame.sequence.documents[frame.next])
        _dealt_with(frame, [])
        proceed(run, frame)
        return
    _take_values(run, frame, event.reply.values)


def _is_remembered(frame: Effects) -> bool:
    """True for a word to the cluster, which keeps its answer until it is confirmed."""
    return frame.node.spec.inside == "cluster" and frame.node.effect is not Effect.PURE


def _take_values(run: Run, frame: Effects, values: tuple[object, ...] | None) -> None:
    """The current document's effect is done, with these values; None when only that is known."""
    document = frame.sequence.documents[frame.next]
    going = outcomes.with_values(run, frame.node, document, values)
    if isinstance(going, Failure):
        if _refused(run, frame, document, going):
            proceed(run, frame)
        return
    _dealt_with(frame, going)
    proceed(run, frame)


def request_failed(run: Run, frame: Effects, event: RequestFailed) -> None:
    """The target refused, or nobody knows: sent again, given up, or in doubt."""
    frame.duration_us += event.duration_us
    failure = retries.as_known(event.failure, sent=event.sent).at(frame.node.path)
    frame.failed = failure
    is_once = frame.node.effect is Effect.ONCE
    if is_once and not retries.is_certain(failure, sent=event.sent):
        _doubt(run, frame, is_fresh=True)
        return
    if is_once:
        run.confirm(frame.key, "failed_definitely")
    frame.tries += 1
    delay_ms = retries.delay_ms(frame.node, failure, tries=frame.tries, limits=run.limits)
    if delay_ms is None:
        _count_result(run, frame)
        if not is_once and _is_remembered(frame):
            run.confirm(frame.key, "failed_definitely")
        document = frame.sequence.documents[frame.next]
        if not frame.sequence.dropped and _refused(run, frame, document, failure):
            proceed(run, frame)
        return
    frame.retries += 1
    if frame.sequence.dropped:
        return
    frame.stage = Stage.BACKING_OFF
    # Said now, so that a crash during the delay leaves no doubt about what did not happen.
    run.wants_commit = run.wants_commit or is_once
    pauses.hold(run, frame, until_ms=run.now_ms + delay_ms, reason=WaitReason.RETRY)


def request_held(run: Run, frame: Effects, event: RequestHeld) -> None:
    """The gate of its connection is closed: the request waits before it, and no try is burnt.

    While something else goes on here it asks again now and then; else the attempt ends.
    """
    if frame.node.effect is Effect.ONCE:
        # It was about to leave; said, so that nobody asks later whether it did.
        run.confirm(frame.key, "failed_definitely")
        run.wants_commit = True
    if frame.sequence.dropped:
        return
    frame.stage = Stage.BACKING_OFF
    again_ms = run.now_ms + run.limits.gate_asked_again_ms if run.is_busy else 0
    pauses.hold(run, frame, until_ms=again_ms, reason=event.reason)


def verified(run: Run, frame: Effects, child: Sequence) -> None:
    """The steps of `verify` came to their end."""
    verdict, why = verification.judge(run, frame, child)
    frame.verify = None
    # What the cluster itself told needs no confirmation; what `verify` found out does.
    if verdict is Verdict.HAPPENED:
        run.confirm(frame.key, "verified_done")
    elif verdict is Verdict.DID_NOT_HAPPEN:
        run.confirm(frame.key, "verified_not_done")
    _act_on(run, frame, verdict, why)


def not_verified(run: Run, frame: Effects, failure: Failure) -> None:
    """The steps of `verify` failed: nothing is known."""
    frame.verify = None
    _act_on(run, frame, Verdict.UNKNOWN, failure.message)


def _dealt_with(frame: Effects, going: list[Document]) -> None:
    """The current document is done and hands on these."""
    frame.outputs.extend(going)
    frame.next += 1
    if frame.batch:
        frame.batch.popleft()
    frame.stage = Stage.IDLE
    frame.key, frame.request, frame.tries, frame.due_ms = NO_KEY, None, 0, 0


def _count_result(run: Run, frame: Effects) -> None:
    """One more answer from outside, which later effects may depend on."""
    run.progress.results += 1
    if frame.node.effect is not Effect.PURE:
        run.progress.effects = run.progress.results


def timeout_ms(run: Run, frame: Effects) -> int:
    """How long the current request may take."""
    return frame.node.timeout_ms or run.limits.step_timeout_ms


def leaves_within_ms(run: Run, frame: Effects) -> int:
    """How long after its intent something of the request may still be under way."""
    connection = run.process.connections.get(frame.node.connection or "")
    is_gated = connection is not None and connection.gate.is_gated
    return timeout_ms(run, frame) + (run.limits.gate_wait_ms_max if is_gated else 0)


def _resolve(run: Run, frame: Effects, known: OpenIntent) -> None:
    """Go on with an effect that an earlier owner began, by what is known of it."""
    verdict = verification.known_of(known)
    if verdict is Verdict.UNKNOWN and verification.ask(run, frame):
        return
    run.open.pop(frame.key, None)
    _act_on(run, frame, verdict, "an earlier owner began it and nobody knows how it ended")


def _act_on(run: Run, frame: Effects, verdict: Verdict, why: str) -> None:
    match verdict:
        case Verdict.HAPPENED:
            _count_result(run, frame)
            _take_values(run, frame, None)
        case Verdict.DID_NOT_HAPPEN:
            if not frame.sequence.dropped:
                send(run, frame)
        case Verdict.GIVEN_UP:
            _give_up(run, frame)
        case Verdict.UNKNOWN:
            frame.failed = Failure(ErrorClass.TRANSIENT_UNKNOWN, "in_doubt", why, frame.node.path)
            _doubt(run, frame, is_fresh=False)


def _give_up(run: Run, frame: Effects) -> None:
    """A person ended this document's way: kept for repair, whatever `on_error` says of errors."""
    document = frame.sequence.documents[frame.next]
    message = "given up while it was in doubt whether it had happened"
    failure = Failure(ErrorClass.TRANSIENT_UNKNOWN, "given_up", message, frame.node.path)
    run.dead_letter(document, failure, counts=True)
    outcomes.lose(frame.sequence, document)
    _dealt_with(frame, [])
    proceed(run, frame)


def _doubt(run: Run, frame: Effects, *, is_fresh: bool) -> None:
    """Nobody knows: this document waits, what is beside it goes on."""
    if not verification.set_apart(run, frame, is_fresh=is_fresh):
        return
    _dealt_with(frame, [])
    if len(run.doubts) >= run.limits.intents_open_per_execution_max:
        message = f"{len(run.doubts)} effects in doubt (intents_open_per_execution_max)"
        run.close(Failure(ErrorClass.LIMIT, "in_doubt", message, frame.node.path))
    else:
        proceed(run, frame)


def _prepare(run: Run, frame: Effects) -> None:
    sequence, node = frame.sequence, frame.node
    limit = run.limits.effects_per_checkpoint_max
    documents = sequence.documents.items[frame.next : frame.next + limit]
    chosen = []
    for document in documents:
        wanted = contexts.wanted(run, sequence, node, document)
        request = wanted if isinstance(wanted, Failure) else _UNPREPARED if wanted else None
        frame.batch.append(Prepared(document, request))
        if request is _UNPREPARED:
            chosen.append(document)
    progress = run.progress
    frame.needs = progress.effects if node.effect is Effect.PURE else progress.results
    if chosen:
        frame.stage = Stage.PREPARING
        contexts_of = tuple(contexts.of_document(run, sequence, node, item) for item in chosen)
        run.call(frame, PrepareRequests(run.number(), node, tuple(chosen), contexts_of))


_UNPREPARED = Request("", None)


def _begin(run: Run, frame: Effects, document: Document, request: Request) -> None:
    key = contexts.effect_key(run, frame.sequence, frame.node, document)
    if isinstance(key, Failure):
        if _refused(run, frame, document, key):
            proceed(run, frame)
        return
    frame.key = key
    frame.request = request
    known = run.open.get(key)
    if known is not None:
        _resolve(run, frame, known)
    else:
        send(run, frame)


def _refused(run: Run, frame: Effects, document: Document, failure: Failure) -> bool:
    """Give the document up. False when the step fails as a whole, so nothing goes on here."""
    frame.failed = failure.at(frame.node.path)
    going = outcomes.after_failure(run, frame.sequence, frame.node, document, failure)
    if going is None:
        _note(run, frame)
        frame.stage = Stage.IDLE
        return False
    _dealt_with(frame, going)
    return True


def _complete(run: Run, frame: Effects) -> None:
    _note(run, frame)
    sequence = frame.sequence
    ordered = in_input_order(sequence.documents.items, frame.outputs.items)
    run.complete(
        sequence, frame.outputs if ordered is frame.outputs.items else DocumentList(ordered)
    )


def _note(run: Run, frame: Effects) -> None:
    failure = frame.failed
    run.note(
        frame.node,
        StepNote(
            frame.node.path,
            frame.node.type,
            frame.started_at_ms,
            frame.duration_us,
            len(frame.sequence.documents),
            len(frame.outputs),
            frame.retries,
            failure.message if failure else "",
            failure.code if failure else "",
            frame.detail,
        ),
    )
