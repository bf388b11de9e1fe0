"""What a submission means for executions of its process that are not over: overlap and priority.

Ending what is replaced belongs to `transitions.py`, the queues of keys to `queues.py`. What stays
true: it is judged from committed state alone, so every replica and every door judges alike.
"""

from typing import Final

from molecule.cluster import queues
from molecule.cluster.execution import Execution
from molecule.cluster.outcome import Rejected
from molecule.cluster.state import ClusterState, KeyName, Version
from molecule.model.execution import ACTIVE
from molecule.wire.v1 import commands_pb2 as wire

OVERLAPS: Final = ("allow", "queue", "skip", "replace")
ON_PARK: Final = ("block", "pass")
PRIORITY_MAX: Final = 9

WHOLE_PROCESS: Final = "*"
"""The key that all executions of a process have whose `overlap` asks for one and that has none."""


def key_text(version: Version, command: wire.SubmitExecution) -> str:
    """The concurrency key that the submission gets: its own, or that of the whole process."""
    if version.keyed or command.concurrency_key or version.overlap == "allow":
        return command.concurrency_key
    return WHOLE_PROCESS


def priority_of(version: Version, command: wire.SubmitExecution) -> int:
    """Of the submission when it has one, else of its process; never outside 0 to 9."""
    return min(max(command.priority or version.priority, 0), PRIORITY_MAX)


def refusal(
    state: ClusterState, version: Version, command: wire.SubmitExecution
) -> Rejected | None:
    """Why it is not accepted with `overlap: skip`: an earlier one is not over. None when it is."""
    if version.overlap != "skip":
        return None
    before = _before(state, version, command)
    if len(before) < queues.key_limit(version):
        return None
    return Rejected("overlap", {"execution": before[0].id, "state": before[0].state.value})


def replaced(
    state: ClusterState, version: Version, command: wire.SubmitExecution
) -> list[Execution]:
    """Those that end for it with `overlap: replace`, oldest first.

    What is parked waits for a person's answer, so nothing ends it here.
    """
    if version.overlap != "replace":
        return []
    before = _before(state, version, command)
    too_many = len(before) - queues.key_limit(version) + 1
    return [execution for execution in before if execution.state in ACTIVE][: max(too_many, 0)]


def _before(
    state: ClusterState, version: Version, command: wire.SubmitExecution
) -> list[Execution]:
    key = key_text(version, command)
    if not key:
        return []
    queue = state.key_queues.get(KeyName(command.environment, version.process, key))
    return [state.executions[execution_id] for execution_id in queue or ()]
