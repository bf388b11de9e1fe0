"""Keys that executions claim, so that a message that comes twice is worked on once.

A claim belongs to an effect, which is the same on every attempt, retry and re-drive. What stays
true: as long as a key counts, nobody but that effect is told that it may go on.
"""

import heapq
from typing import Final

from molecule.cluster.bounds import instant
from molecule.cluster.changes import Changes, DirtyMarks
from molecule.cluster.execution import Execution
from molecule.cluster.hashing import fingerprint
from molecule.cluster.key_rows import Claim
from molecule.cluster.state import ClusterState
from molecule.model.execution import ExecutionState

CLAIMED: Final = "claimed"
DUPLICATE: Final = "duplicate"

_FORGOTTEN_PER_ENTRY: Final = 64
"""Claims that an entry forgets, beside two for each of its commands: it keeps up."""


def name_of(environment: str, scope: str, key: str) -> str:
    """The name of a claim: a digest, because keys may be long."""
    return fingerprint(f"{environment}\0{scope}\0{key}").hex()


def holder(state: ClusterState, name: str) -> Claim | None:
    """The claim that counts now."""
    claim = state.claims.get(name)
    if claim is None or 0 < claim.until_ms <= state.time_ms:
        return None
    return claim


def take(
    state: ClusterState,
    execution: Execution,
    changes: Changes,
    *,
    name: str,
    effect: bytes,
    window_ms: int,
) -> None:
    """Give a key that does not count to an effect of this execution, which has progress."""
    changes.dirty.mark("claims", name)
    state.claims[name] = Claim(effect, execution.id)
    if execution.progress is not None:
        execution.progress.claims[name] = window_ms


def settle(state: ClusterState, execution: Execution, changes: Changes) -> None:
    """Its end: completed, its keys count from now for their windows; else they are free."""
    progress = execution.progress
    for name, window_ms in (progress.claims if progress is not None else {}).items():
        changes.dirty.mark("claims", name)
        if execution.state is ExecutionState.COMPLETED:
            until_ms = instant(state.time_ms + window_ms)
            put(state, name, Claim(state.claims[name].effect, execution.id, until_ms))
        else:
            del state.claims[name]


def put(state: ClusterState, name: str, claim: Claim) -> None:
    """Put a claim into the table, and into the line of those that end."""
    state.claims[name] = claim
    if claim.until_ms:
        heapq.heappush(state.claim_ends, (claim.until_ms, name))


def forget(state: ClusterState, dirty: DirtyMarks, *, commands_now: int) -> None:
    """Let keys go whose window is over."""
    left = 2 * commands_now + _FORGOTTEN_PER_ENTRY
    ends = state.claim_ends
    while left and ends and ends[0][0] <= state.time_ms:
        until_ms, name = heapq.heappop(ends)
        claim = state.claims.get(name)
        # Else it was claimed anew meanwhile; other replicas may not have this left-over.
        if claim is not None and claim.until_ms == until_ms:
            dirty.mark("claims", name)
            del state.claims[name]
            left -= 1
