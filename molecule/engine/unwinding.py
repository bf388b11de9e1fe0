"""A step fails as a whole: up to the block that takes the failure, or the execution fails.

What is under way inside that block is waited for first, because what was sent cannot be taken back.
What must stay true: a block hears of its failure once, with nothing under way inside, also when its
owner dies in between.
"""

from molecule.engine import blocks, branches, effects
from molecule.engine.failures import Failure
from molecule.engine.frames import Branches, Effects, Sequence, children
from molecule.engine.run import Run


def unwind(run: Run, sequence: Sequence, failure: Failure) -> None:
    """Find who takes the failure of the step at which `sequence` stands."""
    if sequence.dropped:
        return
    child, block = sequence, sequence.parent
    while block is not None:
        if isinstance(block, Branches) and branches.tolerates(block, child.name):
            branches.path_failed(run, block, child.name, failure)
            return
        if isinstance(block, Effects) or blocks.takes(block, failure):
            break
        child, block = block.sequence, block.sequence.parent
    if block is None:
        run.close(failure)
        return
    block.failing = failure
    run.drop(children(block))
    run.drain(block)


def settle(run: Run) -> bool:
    """Go on with the blocks in which nothing is under way any more; True when there was one."""
    drains, run.drains = run.drains, []
    for block in drains:
        if block.sequence.dropped and not isinstance(block, Effects):
            continue  # a scope around it failed
        if block.failing is None:
            if isinstance(block, Branches) and branches.drained(run, block):
                branches.go_on(run, block)
            else:
                run.drain(block)
        elif run.is_under_way(children(block)):
            run.drain(block)
        else:
            failure, block.failing = block.failing, None
            if isinstance(block, Effects):
                effects.not_verified(run, block, failure)
            else:
                blocks.failed(run, block, failure)
    return bool(run.ready or run.raised)
