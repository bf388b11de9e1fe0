"""Blocks of steps: the paths of a step, `foreach`, `try`. Begun, ended child by child, failed.

A block gets its documents when it begins and completes its step when its last child has ended. What
must stay true: what is handed on stands in input order, whatever ended first; but for a `foreach`
with `ordered: false`, which hands on in the order in which its rounds ended.
"""

from collections.abc import Iterable

from molecule.definition.calls import PROCESS, RETURNS
from molecule.definition.definition import OnError, StepNode
from molecule.engine import branches, outcomes, strands
from molecule.engine.documents import DocumentList, in_input_order, lineage
from molecule.engine.failures import Failure
from molecule.engine.frames import Branches, Foreach, Paths, Scope, Sequence, Try
from molecule.engine.run import Run
from molecule.model.document import Document


def begin(
    run: Run, sequence: Sequence, node: StepNode, inputs: DocumentList, passing: DocumentList
) -> None:
    """Begin a block with `inputs`; `passing` go by it unchanged."""
    if not inputs:
        run.complete(sequence, passing)
    elif node.spec.per == "block:paths":
        branches.begin(run, sequence, node, inputs, passing)
    elif node.spec.per == "block:each":
        size, at_once = node.component.size, node.component.at_once
        frame = Foreach(sequence, node, inputs, size, at_once, run.scope(), handed=passing)
        frame.started_at_ms = run.now_ms
        sequence.inner = frame
        fill(run, frame)
    else:
        block = Try(sequence, node, inputs, run.scope(), handed=passing)
        block.started_at_ms = run.now_ms
        sequence.inner = block
        first = PROCESS if PROCESS in node.paths else "body"
        _begin_stage(run, block, first, inputs, None)


def begin_paths(
    run: Run,
    sequence: Sequence,
    node: StepNode,
    by_path: dict[str, DocumentList],
    passing: DocumentList,
) -> None:
    """Send documents down the paths of a step, in the order in which the paths are written."""
    waiting = {name: by_path[name] for name in node.paths if name in by_path}
    frame = Paths(sequence, node, sequence.documents, waiting, run.scope(), handed=passing)
    sequence.inner = frame
    _next_path(run, frame)


def ended(run: Run, block: Scope, child: Sequence) -> None:
    """A child has come to its end with the documents that it hands on."""
    match block:
        case Paths():
            if child.name not in block.node.spec.closed_paths:
                block.handed.extend(child.documents)
            _next_path(run, block)
        case Foreach():
            _item_ended(run, block, child)
        case Try():
            _stage_ended(run, block, child)
        case Branches():
            branches.ended(run, block, child)


def resume(run: Run, block: Scope) -> None:
    """Go on after a restart."""
    if block.failing is not None:
        run.drain(block)
        return
    match block:
        case Foreach():
            fill(run, block)
        case Branches():
            if not block.active:
                branches.go_on(run, block)
            elif not branches.drained(run, block):
                run.drain(block)
        case Paths() | Try():
            pass  # their one child is resumed by itself


def fill(run: Run, block: Foreach) -> None:
    """Begin items as long as there are some and few enough are under way."""
    while len(block.active) < block.at_once and block.next < block.items:
        number = block.next
        block.next += 1
        start = number * block.size
        item = DocumentList(block.inputs.items[start : start + block.size])
        child = Sequence(block.node.paths["steps"], item, block, str(number))
        block.active[number] = child
        run.ready.append(child)
    if not block.active:
        _complete(run, block)


def failed(run: Run, block: Scope, failure: Failure) -> None:
    """A step inside failed as a whole, and nothing is under way inside any more."""
    strands.drop_with(run, block)
    if isinstance(block, Try) and block.stage != "finally":
        catch = catch_for(block, failure)
        if catch is not None:
            _begin_stage(run, block, catch, _left(run, block), failure)
            return
        block.failure = failure
        if "finally" in block.node.paths:
            _begin_stage(run, block, "finally", _left(run, block), failure)
            return
    _fail(run, block, failure)


def takes(block: Scope, failure: Failure) -> bool:
    """True when a failure inside goes no further up than to this block."""
    if block.node.on_error is not OnError.FAIL:
        return True
    if not isinstance(block, Try) or block.stage == "finally":
        return False
    return catch_for(block, failure) is not None or "finally" in block.node.paths


def catch_for(block: Try, failure: Failure) -> str | None:
    """The path that handles this failure; a failing catch is not caught by its own `try`."""
    if block.stage != "body":
        return None
    path: str | None = block.node.component.catch_for(failure.error_class, failure.code)
    return path


def _next_path(run: Run, block: Paths) -> None:
    if not block.waiting:
        _complete(run, block)
        return
    name = next(iter(block.waiting))
    block.inner = Sequence(block.node.paths[name], block.waiting.pop(name), block, name)
    run.ready.append(block.inner)


def _item_ended(run: Run, block: Foreach, child: Sequence) -> None:
    number = int(child.name)
    del block.active[number]
    if block.node.component.ordered:
        block.early[number] = child.documents
    else:
        block.handed.extend(child.documents)
        block.done += 1
    while block.done in block.early:
        block.handed.extend(block.early.pop(block.done))
        block.done += 1
    if run.progress.results > run.progress.committed and block.next < block.items:
        run.wants_commit = True
    fill(run, block)


def _stage_ended(run: Run, block: Try, child: Sequence) -> None:
    if block.stage == PROCESS and RETURNS in block.node.paths:
        inputs = block.sequence.documents.items
        both = in_input_order(inputs, [*child.documents, *block.returned])
        block.returned = DocumentList()
        _begin_stage(run, block, RETURNS, DocumentList(both), None)
        return
    block.handed.extend(block.returned)
    if block.stage != "finally":
        block.handed.extend(child.documents)
        if "finally" in block.node.paths:
            # Those set apart come to their own.
            here = DocumentList(item for item in block.inputs if item.id not in block.apart)
            _begin_stage(run, block, "finally", here, None)
            return
    if block.failure is not None:
        _fail(run, block, block.failure)
        return
    if block.lost:
        # What failed alone in `finally` had been handed on by the body.
        handed = block.handed.items
        block.handed = DocumentList(
            item for item in handed if not block.lost.intersection(lineage(item.id))
        )
    _complete(run, block)


def _begin_stage(
    run: Run, block: Try, stage: str, documents: DocumentList, error: Failure | None
) -> None:
    block.stage = stage
    steps = block.node.paths[stage]
    block.inner = Sequence(steps, DocumentList(documents), block, stage, error=error)
    run.ready.append(block.inner)


def _complete(run: Run, block: Scope) -> None:
    strands.tell(run, block, len(block.handed))
    if isinstance(block, Foreach) and not block.node.component.ordered:
        run.complete(block.sequence, block.handed)
    else:
        run.complete_in_order(block.sequence, block.handed)


def _fail(run: Run, block: Scope, failure: Failure) -> None:
    strands.tell(run, block, 0, failure)
    handed = DocumentList()
    for document in _left(run, block):
        going = outcomes.after_failure(run, block.sequence, block.node, document, failure)
        if going is None:
            return
        handed.extend(going)
    # Documents that passed the block by go on, whatever became of the others.
    inputs = {document.id for document in block.inputs}
    handed.extend(item for item in block.sequence.documents if item.id not in inputs)
    run.complete(block.sequence, handed)


def _left(run: Run, block: Scope) -> DocumentList:
    """The inputs without those that failed alone, go on alone or were handed back."""
    gone = block.apart | block.lost
    for document in _returned(run, block.sequence):
        gone.update(lineage(document.id))
    return DocumentList(item for item in block.inputs if item.id not in gone)


def hand_back(run: Run, sequence: Sequence, documents: Iterable[Document]) -> None:
    """Documents leave the called process that `sequence` is part of, or the execution."""
    _returned(run, sequence).extend(documents)


def _returned(run: Run, sequence: Sequence) -> DocumentList:
    block = sequence.parent
    while block is not None:
        if isinstance(block, Try) and block.stage == PROCESS:
            return block.returned
        block = block.sequence.parent
    return run.returned
