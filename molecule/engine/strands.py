"""Strands: a document in doubt goes on alone, on a copy of the way down to where it stands.

What must stay true: each block on the way knows which of its inputs were set apart, so that no
document goes through what follows a block twice.
"""

from molecule.engine.documents import DocumentList, ancestor, lineage
from molecule.engine.failures import Failure
from molecule.engine.frames import (
    Block,
    Branches,
    Effects,
    Foreach,
    Paths,
    Scope,
    Sequence,
    Try,
    root_of,
    within,
)
from molecule.engine.instructions import StepNote
from molecule.engine.run import Run
from molecule.model.document import Document
from molecule.model.errors import BrokenInvariant
from molecule.model.ids import DocumentId


def strand(sequence: Sequence, document: Document) -> Sequence:
    """A copy of `sequence` and of the way down to it, with one document alone on it.

    The document goes on there without the others: through the rest of these steps, then through
    what follows the blocks around them.
    """
    copy = Sequence(
        sequence.steps,
        DocumentList([document]),
        name=sequence.name,
        index=sequence.index,
        error=sequence.error,
        dropped=sequence.dropped,
    )
    block = sequence.parent
    if block is None:
        return copy
    if isinstance(block, Effects):
        raise BrokenInvariant(f"verify of {block.node.path} has steps with an effect")
    start = ancestor(block.inputs.items, document)
    above = strand(block.sequence, start)
    alone = DocumentList([start])
    inner: Scope
    match block:
        case Foreach():
            copy.name = "0"
            inner = Foreach(above, block.node, alone, 1, 1, block.scope, 1, active={0: copy})
            inner.started_at_ms = block.started_at_ms
        case Try():
            inner = Try(above, block.node, alone, block.scope, block.stage, inner=copy)
            inner.failure = block.failure
            inner.started_at_ms = block.started_at_ms
            # In `finally`, what the body handed on of it waits with it.
            own = [item for item in block.handed if start.id in lineage(item.id)]
            if own:
                inner.handed = DocumentList(own)
                moved = {item.id for item in own}
                block.handed = DocumentList(i for i in block.handed if i.id not in moved)
        case Paths():
            inner = Paths(above, block.node, alone, {}, block.scope, inner=copy)
        case Branches():
            inner = Branches(above, block.node, alone, block.scope, list(block.waiting))
            inner.active[sequence.name] = copy
            inner.started_at_ms = block.started_at_ms
    inner.is_copy = True
    block.apart.add(start.id)
    above.inner = inner
    copy.parent = inner
    return copy


def tell(run: Run, block: Scope, handed: int, failure: Failure | None = None) -> None:
    """A line of the timeline for a block that is done; each strand of it has its own.

    A step that chooses paths told what it chose when it did.
    """
    if isinstance(block, Paths):
        return
    started_at_ms = block.started_at_ms or run.now_ms
    inputs = sum(item.id not in block.apart for item in block.inputs)
    passing = len(block.sequence.documents) - len(block.inputs)
    note = StepNote(
        block.node.path,
        block.node.type,
        started_at_ms,
        max(0, run.now_ms - started_at_ms) * 1_000,
        inputs,
        max(0, handed - passing),
        error=failure.message if failure else "",
        error_code=failure.code if failure else "",
    )
    run.note(block.node, note)


def others(run: Run, block: Scope) -> list[Scope]:
    """The frames of this scope on other roots, as long as they are not dropped."""
    own = root_of(block.sequence)
    return [
        part.inner
        for root in run.roots
        if root is not own
        for part in within(root)
        if isinstance(part.inner, Scope) and part.inner.scope == block.scope and not part.dropped
    ]


def copies_of(run: Run, block: Scope, document: DocumentId) -> list[Scope]:
    """The copies on other roots on which this input of the block is under way."""
    return [
        found
        for found in others(run, block)
        if found.is_copy and any(item.id == document for item in found.inputs)
    ]


def drop_with(run: Run, block: Scope) -> None:
    """The block failed: what was set apart from its inputs ends where it stands.

    These documents failed with the rest: what became of their effects must still be known, but they
    go on here, not on their strands.
    """
    for document in block.inputs:
        rejoin(run, block, document)


def rejoin(run: Run, block: Scope, document: Document) -> None:
    """An input goes on from this block, whatever of it was set apart inside."""
    found = copies_of(run, block, document.id)
    if not found:
        return
    run.drop([root_of(copy.sequence) for copy in found])
    above: Block | None = block
    while isinstance(above, Scope):
        start = ancestor(above.inputs.items, document)
        if not copies_of(run, above, start.id):
            above.apart.discard(start.id)
        above = above.sequence.parent
