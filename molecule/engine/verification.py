"""Effects of which nobody knows whether they happened: what is known, asked, or left in doubt.

Decides and sets apart; `effects.py` acts on it. What must stay true: `verify` is asked only by an
owner that came after the one that sent, because the cluster hands the execution on only when no
late request can be under way any more.
"""

from enum import StrEnum
from typing import Final

from molecule.engine import contexts
from molecule.engine.documents import DocumentList
from molecule.engine.events import OpenIntent
from molecule.engine.frames import (
    Branches,
    Effects,
    Foreach,
    Paths,
    Sequence,
    Stage,
    Try,
    root_of,
)
from molecule.engine.run import Run
from molecule.engine.strands import strand
from molecule.model.errors import StepError


class Verdict(StrEnum):
    """What is known of an effect that was begun."""

    HAPPENED = "happened"
    DID_NOT_HAPPEN = "did_not_happen"
    GIVEN_UP = "given_up"
    UNKNOWN = "unknown"


_RESOLUTIONS: Final = {
    "done": Verdict.HAPPENED,
    "not_done": Verdict.DID_NOT_HAPPEN,
    "fail": Verdict.GIVEN_UP,
}


def known_of(intent: OpenIntent) -> Verdict:
    """What the cluster knows of it: a confirmation, or a person's answer."""
    return _RESOLUTIONS.get(intent.resolution, Verdict.UNKNOWN)


def ask(run: Run, frame: Effects) -> bool:
    """Run the steps of `verify` with the current document; False when none are declared."""
    verify = frame.node.verify
    if verify is None:
        return False
    frame.stage = Stage.VERIFYING
    document = frame.sequence.documents[frame.next]
    frame.verify = Sequence(verify.steps, DocumentList([document]), frame, "verify")
    run.ready.append(frame.verify)
    return True


def judge(run: Run, frame: Effects, child: Sequence) -> tuple[Verdict, str]:
    """What the last result of `verify` means; with a reason when it means nothing."""
    verify = frame.node.verify
    if verify is None or not child.documents:
        return Verdict.UNKNOWN, "the steps of verify gave nothing"
    document = child.documents[0]
    names = contexts.names(run, frame.sequence, document)
    try:
        is_done = verify.done_if.is_true(document, names)
        is_not_done = verify.not_done_if is not None and verify.not_done_if.is_true(document, names)
    except StepError as error:
        return Verdict.UNKNOWN, error.message
    if is_done == is_not_done:
        return Verdict.UNKNOWN, "verify could not tell whether it happened"
    return (Verdict.HAPPENED if is_done else Verdict.DID_NOT_HAPPEN), ""


def set_apart(run: Run, frame: Effects, *, is_fresh: bool) -> bool:
    """Leave the current document in doubt; True when it was moved to a strand of its own.

    A document beside which nothing is left stays where it is. `is_fresh`: it was this owner that
    sent, so a later one may ask `verify`.
    """
    run.open.pop(frame.key, None)
    is_kept = run.is_closing or not frame.sequence.dropped
    if is_kept and _is_alone(frame):
        frame.stage, frame.is_fresh = Stage.IN_DOUBT, is_fresh
        run.doubts.append(frame)
        return False
    copy = strand(frame.sequence, frame.sequence.documents[frame.next])
    left = Effects(
        copy,
        frame.node,
        stage=Stage.IN_DOUBT,
        key=frame.key,
        request=frame.request,
        failed=frame.failed,
        started_at_ms=frame.started_at_ms,
        is_fresh=is_fresh,
    )
    copy.inner = left
    run.doubts.append(left)
    run.roots.append(root_of(copy))
    return True


def _is_alone(frame: Effects) -> bool:
    """True when nothing else is left beside the current document: then it need not be set apart."""
    if len(frame.sequence.documents) > 1:
        return False
    block = frame.sequence.parent
    while block is not None:
        match block:
            case Paths():
                is_last = not block.waiting and not block.handed
            case Foreach():
                is_last = block.next >= block.items and len(block.active) == 1
                is_last = is_last and not block.handed and not block.early
            case Try():
                is_last = not block.handed and not block.returned
            case Branches():
                # The other paths go on, and may end or fail with the block.
                is_last = block.is_copy
            case Effects():
                return False
        if not is_last:
            return False
        block = block.sequence.parent
    return True
