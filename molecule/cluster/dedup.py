"""How long keys of ended executions count: each process's own window, bounded in number.

A key that holds its time is refused once it may have been forgotten. What stays true: as long as a
key is remembered it gives the first execution, and a forgotten one that tells its age is never new.
"""

from collections import OrderedDict
from typing import Final

from molecule.cluster import claims
from molecule.cluster.changes import Changes, DirtyMarks
from molecule.cluster.execution import Ended, Execution
from molecule.cluster.state import ClusterState, DeploymentName, Version
from molecule.model.ids import ProcessName
from molecule.model.keys import made_at_ms

_FORGOTTEN_PER_ENTRY: Final = 64
"""Ended executions that an entry forgets, beside two for each of its commands: it keeps up."""


def window_ms(state: ClusterState, version: Version) -> int:
    """How long keys of this version count after the end."""
    return version.dedup_window_ms or state.bounds.dedup_window_ms


def is_too_old(state: ClusterState, name: DeploymentName, version: Version, made_ms: int) -> bool:
    """True for a key made so long ago that it may have been used and forgotten."""
    forgotten_ms = state.keys_forgotten.get(name, 0)
    return made_ms <= max(forgotten_ms, state.time_ms - window_ms(state, version))


def remember(state: ClusterState, execution: Execution, version: Version, changes: Changes) -> None:
    """Keep of an execution that just ended what its key still needs."""
    claims.settle(state, execution, changes)
    state.serial_last += 1
    changes.dirty.mark("ended", execution.id)
    put(
        state,
        Ended(
            id=execution.id,
            state=execution.state,
            environment=execution.environment,
            process=execution.process,
            window_ms=version.dedup_window_ms,
            idempotency_key=execution.idempotency_key,
            body_digest=execution.body_digest,
            token=execution.token,
            token_ended=execution.token_ended,
            ended_at_ms=state.time_ms,
            serial=state.serial_last,
            signals=tuple(signal.body_digest for signal in execution.signals.values()),
        ),
    )


def put(state: ClusterState, ended: Ended) -> None:
    """Put it into the table and its window's line; to be called in the order of ending."""
    state.ended[ended.id] = ended
    state.windows.setdefault(ended.window_ms, OrderedDict())[ended.id] = None


def forget(state: ClusterState, dirty: DirtyMarks, *, commands_now: int) -> None:
    """Let keys go whose window is over, and the oldest of all when they are too many."""
    left = 2 * commands_now + _FORGOTTEN_PER_ENTRY
    # Sorted: every replica must forget the same ones, whatever order its own dictionary has.
    for window in sorted(state.windows):
        line = state.windows[window]
        allowed_ms = window or state.bounds.dedup_window_ms
        while line and left:
            oldest = state.ended[next(iter(line))]
            if oldest.ended_at_ms + allowed_ms >= state.time_ms or not _forget(
                state, dirty, oldest
            ):
                break
            left -= 1
        if not line:
            del state.windows[window]
    while left and len(state.ended) > state.bounds.dedup_keys_max:
        if not _forget(state, dirty, next(iter(state.ended.values()))):
            return
        left -= 1


def _forget(state: ClusterState, dirty: DirtyMarks, oldest: Ended) -> bool:
    made_ms = made_at_ms(oldest.idempotency_key) or 0
    # Forgetting it now would make every key of the next moments too old.
    if made_ms > state.time_ms:
        return False
    dirty.mark("ended", oldest.id)
    del state.ended[oldest.id]
    line = state.windows[oldest.window_ms]
    del line[oldest.id]
    del state.keys[oldest.idempotency_key]
    name = (oldest.environment, ProcessName(oldest.process))
    if made_ms > state.keys_forgotten.get(name, 0):
        dirty.mark("forgotten", "/".join(name))
        state.keys_forgotten[name] = made_ms
    return True
