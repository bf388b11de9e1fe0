"""A step fails as a whole: up to the block that takes the failure, or the execution fails.

What is under way inside that block is waited for first, because what was sent cannot be taken back.
What must stay true: a block hears of its failure once, with nothing under way inside.
"""

from molecule.engine import blocks, effects
from molecule.engine.failures import Failure
from molecule.engine.frames import Block, Effects, Foreach, Local, Paths, Sequence, Try, children
from molecule.engine.run import Drain, Run


def unwind(run: Run, sequence: Sequence, failure: Failure) -> None:
    """Find who takes the failure of the step at which `sequence` stands."""
    if sequence.dropped:
        return
    block = sequence.parent
    while block is not None:
        if isinstance(block, Effects) or blocks.takes(block, failure):
            break
        block = block.sequence.parent
    if block is None:
        run.close(failure)
        return
    busy = run.drop(list(children(block)))
    if busy:
        run.drains.append(Drain(block, failure, busy))
    else:
        _deliver(run, block, failure)


def ended(run: Run, frame: Effects | Local) -> None:
    """A frame that was waited for has nothing under way any more."""
    for drain in list(run.drains):
        drain.frames.discard(frame)
        if not drain.frames:
            run.drains.remove(drain)
            _deliver(run, drain.block, drain.failure)


def _deliver(run: Run, block: Block, failure: Failure) -> None:
    if block.sequence.dropped:
        return
    match block:
        case Effects():
            effects.not_verified(run, block, failure)
        case Paths() | Foreach() | Try():
            blocks.failed(run, block, failure)
