"""The indexes by which work is found: lanes of what may be assigned, queues of concurrency keys.

Transitions call it when an execution enters or leaves a state. What stays true: a pending execution
is in exactly one lane, or its concurrency key is held by earlier ones or for dead letters.
"""

from collections import OrderedDict
from itertools import islice
from typing import Final

from molecule.cluster.changes import Changes
from molecule.cluster.execution import (
    Execution,
)
from molecule.cluster.state import (
    ClusterState,
    KeyName,
    Lane,
    Share,
    Version,
)
from molecule.model.execution import PARKED, ExecutionState
from molecule.model.ids import ExecutionId, ProcessName

TURN: Final = 1_000_000
"""What a turn costs a process of weight 1; divided by the weight of another."""
SHARE_MAX: Final = 100


def lane_of(execution: Execution) -> Lane:
    """The lane in which it waits for a node."""
    return Lane(
        execution.priority,
        execution.attempts > 0,
        execution.environment,
        execution.process,
        execution.version,
    )


def key_of(execution: Execution) -> KeyName | None:
    """Its concurrency key in its scope; None when it has none."""
    if not execution.concurrency_key:
        return None
    return KeyName(execution.environment, execution.process, execution.concurrency_key)


def version_of(state: ClusterState, execution: Execution) -> Version:
    """The version it runs on; versions are not removed while executions name them."""
    return state.versions[execution.process, execution.version]


def key_limit(version: Version) -> int:
    """How many executions of one key may hold it at once."""
    return max(version.concurrency_limit, 1)


def holds_key(state: ClusterState, execution: Execution) -> bool:
    """True when it has no key, or is among the first that may hold it."""
    key = key_of(execution)
    return key is None or execution.id in heads(state, key)


def wants_key(state: ClusterState, execution: Execution) -> bool:
    """True while it stands in the queue of its key; what is parked may let others pass."""
    if not execution.concurrency_key:
        return False
    return execution.state not in PARKED or version_of(state, execution).on_park != "pass"


def join_key(state: ClusterState, execution: Execution) -> None:
    """Put it at the end of the queue of its key."""
    key = key_of(execution)
    if key is not None:
        state.key_queues.setdefault(key, OrderedDict())[execution.id] = None


def leave_key(state: ClusterState, execution: Execution, changes: Changes) -> None:
    """Give its key free; who holds it now becomes ready."""
    key = key_of(execution)
    if key is None:
        return
    queue = state.key_queues[key]
    del queue[execution.id]
    if not queue:
        del state.key_queues[key]
        return
    serve_key(state, key, changes)


def serve_key(state: ClusterState, key: KeyName, changes: Changes) -> None:
    """Make those ready that hold the key now."""
    for successor_id in heads(state, key):
        successor = state.executions[successor_id]
        if successor.state is ExecutionState.PENDING and not successor.ready_serial:
            changes.touch(successor)
            make_ready(state, successor)


def heads(state: ClusterState, key: KeyName) -> list[ExecutionId]:
    """Those that hold the key, by the limit of the first one's version; nobody while it is held.

    One that was ready stays so when a later version has a smaller limit: `limit` counts starts.
    """
    queue = state.key_queues.get(key)
    if not queue or key in state.key_holds:
        return []
    first = next(iter(queue))
    return list(islice(queue, key_limit(version_of(state, state.executions[first]))))


def make_ready(state: ClusterState, execution: Execution) -> None:
    """It may be assigned from now on: the last of its lane."""
    state.serial_last += 1
    execution.ready_serial = state.serial_last
    put_in_lane(state, execution)


def put_in_lane(state: ClusterState, execution: Execution) -> None:
    """Put it at the end of its lane."""
    state.lanes.setdefault(lane_of(execution), OrderedDict())[execution.id] = None


def share_of(state: ClusterState, execution: Execution) -> Share:
    """What its process has; for transitions and restoring to count in."""
    return state.shares.setdefault((execution.environment, execution.process), Share())


def take_share(state: ClusterState, execution: Execution) -> None:
    """Count it among what its process has of the cluster."""
    share = share_of(state, execution)
    share.held += 1
    share.token_last = max(share.token_last, execution.token)
    # Whoever was idle begins where the others are: a pause is no claim on what comes after it.
    state.turn = max(share.passed, state.turn)
    share.passed = state.turn + TURN // weight_of(state, execution.environment, execution.process)


def weight_of(state: ClusterState, environment: str, process: ProcessName) -> int:
    """The weight of a process among those of the same priority, by its active version."""
    deployment = state.deployments.get((environment, process))
    version = state.versions.get((process, deployment.version)) if deployment else None
    return version.share if version is not None else 1


def is_paused(state: ClusterState, environment: str, process: ProcessName) -> bool:
    """True while nothing of the process may start."""
    deployment = state.deployments.get((environment, process))
    return deployment is not None and deployment.pause is not None


def give_share(state: ClusterState, execution: Execution) -> None:
    """It holds no slot any more."""
    state.shares[execution.environment, execution.process].held -= 1


def leave_lane(state: ClusterState, execution: Execution) -> None:
    """Take it out of its lane, if it is in one."""
    if not execution.ready_serial:
        return
    lane = lane_of(execution)
    ids = state.lanes[lane]
    del ids[execution.id]
    if not ids:
        del state.lanes[lane]
    execution.ready_serial = 0
