"""`branch` and `parallel`: the same documents down several paths, in order or at once.

The block is done when as many paths as it waits for have ended; what is under way in the others is
waited for, and nothing more begins in them. What must stay true: a document that was set apart in
one path goes on behind the block once, when all of its paths are done.
"""

from collections.abc import Iterable

from molecule.definition.definition import StepNode
from molecule.engine import strands
from molecule.engine.documents import DocumentList, lineage
from molecule.engine.failures import Failure
from molecule.engine.frames import Block, Branches, Sequence, root_of
from molecule.engine.run import Run
from molecule.model.document import Document
from molecule.model.ids import DocumentId


def begin(
    run: Run, sequence: Sequence, node: StepNode, inputs: DocumentList, passing: DocumentList
) -> None:
    """Begin the first path, or all of them; `passing` go by the block unchanged."""
    frame = Branches(sequence, node, inputs, run.scope(), list(node.paths), handed=passing)
    frame.started_at_ms = run.now_ms
    sequence.inner = frame
    go_on(run, frame)


def ended(run: Run, block: Branches, child: Sequence) -> None:
    """A path has come to its end."""
    del block.active[child.name]
    handed = child.documents if child.name == block.node.component.take else ()
    block.ended[child.name] = _joined(block.ended.get(child.name), handed)
    go_on(run, block)


def go_on(run: Run, block: Branches) -> None:
    """Begin the next path, or hand on when enough of them have ended."""
    if block.is_copy and not block.active and _merged(run, block):
        return
    if len(block.ended) >= block.node.component.wanted and not block.is_copy:
        run.drop(block.active.values())
        if run.is_under_way(block.active.values()):
            run.drain(block)
        else:
            _finish(run, block)
        return
    while block.waiting and len(block.active) < block.node.component.at_once:
        name = block.waiting.pop(0)
        missing = block.apart | block.lost
        documents = (item for item in block.inputs if item.id not in missing)
        child = Sequence(block.node.paths[name], DocumentList(documents), block, name)
        block.active[name] = child
        run.ready.append(child)
    if not block.active:
        _finish(run, block)


def tolerates(block: Branches, name: str) -> bool:
    """True when enough paths may still end although this one failed."""
    if block.is_copy or name in block.failed:
        return False
    left = len(block.ended) + len(block.active) + len(block.waiting)
    lost = sum(failed in block.active for failed in block.failed) + 1
    return left - lost >= int(block.node.component.wanted)


def path_failed(run: Run, block: Branches, name: str, failure: Failure) -> None:
    """A path failed that the block does without; it is left when nothing is under way in it."""
    block.failed[name] = failure
    run.drop([block.active[name]])
    run.drain(block)


def drained(run: Run, block: Branches) -> bool:
    """Leave the paths in which nothing is under way any more; True when that were all."""
    is_over = len(block.ended) >= block.node.component.wanted and not block.is_copy
    for name, child in list(block.active.items()):
        if (is_over or name in block.failed) and not run.is_under_way([child]):
            del block.active[name]
    return not any(is_over or name in block.failed for name in block.active)


def _merged(run: Run, block: Branches) -> bool:
    """A strand came to the end of its path: True when another goes on for its document."""
    (document,) = block.inputs
    others = strands.copies_of(run, block, document.id)
    if others:
        ours: Block | None = block
        theirs: Block | None = others[0]
        while ours is not None and theirs is not None:
            if isinstance(ours, Branches) and isinstance(theirs, Branches):
                _give(ours, theirs, ours.inputs[0])
            ours, theirs = ours.sequence.parent, theirs.sequence.parent
        run.drop([root_of(block.sequence)])
        return True
    if block.waiting:
        return False
    # As long as the others are in the block, its other paths may have the document too.
    return any(not other.is_copy for other in strands.others(run, block))


def _finish(run: Run, block: Branches) -> None:
    here: list[Document] = []
    given: list[Branches] = []
    for document in block.inputs:
        others = strands.copies_of(run, block, document.id)
        found = [other for other in others if isinstance(other, Branches)]
        if not found:
            if document.id not in block.apart | block.lost:
                here.append(document)
            continue
        missing = {name for other in found for name in (*other.active, *other.waiting)}
        over = [name for name in block.ended if name not in missing]
        if len(over) >= block.node.component.wanted or document.id in block.lost:
            here.extend([document] if document.id not in block.lost else [])
            strands.rejoin(run, block, document)
        else:
            _give(block, found[0], document)
            given.append(found[0])
    handed = DocumentList(block.handed)
    take = block.node.component.take
    if take:
        # What a document handed on that is still under way elsewhere goes on with it.
        ids = {document.id for document in here}
        taken = block.ended.get(take, DocumentList())
        handed.extend(item for item in taken if _descends(item, ids))
    else:
        handed.extend(here)
    strands.tell(run, block, len(handed), next(iter(block.failed.values()), None))
    run.complete_in_order(block.sequence, handed)
    for other in given:
        if not other.active:
            go_on(run, other)


def _give(block: Branches, other: Branches, document: Document) -> None:
    """From now on `other` has what became of the document on this block's paths."""
    for name, handed in block.ended.items():
        own = (item for item in handed if _descends(item, {document.id}))
        other.ended[name] = _joined(other.ended.get(name), own)
    other.waiting.extend(name for name in block.waiting if name not in other.waiting)
    other.apart.discard(document.id)
    other.lost |= block.lost & {document.id}


def _descends(document: Document, inputs: set[DocumentId]) -> bool:
    return any(name in inputs for name in lineage(document.id))


def _joined(before: DocumentList | None, more: Iterable[Document]) -> DocumentList:
    return DocumentList([*(before or ()), *more])
