"""What a node is told of an assignment, made from committed state, without the payloads.

The log is the assignment, this is only its delivery. What stays true: it carries the token under
which the holder must speak, and every effect that an earlier holder began.
"""

from molecule.cluster.state import ClusterState, Execution, Intent, TriggerAssignment
from molecule.wire.v1 import commands_pb2, worker_pb2


def run_execution(state: ClusterState, execution: Execution) -> worker_pb2.RunExecution:
    """The order to run it; `input` and `position` (or their references) are still missing."""
    remaining_ms = max(execution.deadline_at_ms - state.time_ms, 1)
    return worker_pb2.RunExecution(
        execution=execution.id,
        token=execution.token,
        attempt=execution.attempts,
        process=execution.process,
        version=execution.version,
        environment=execution.environment,
        environment_digest=state.environments[execution.environment].digest,
        sequence=execution.sequence,
        open_intents=[_open_intent(intent) for intent in execution.intents.values()],
        submitted_at_ms=execution.accepted_at_ms,
        deadline_in_ms=remaining_ms if execution.deadline_at_ms else 0,
        origin=execution.origin or execution.id,
        alone=execution.is_alone,
        cluster_time_ms=state.time_ms,
    )


def run_trigger(state: ClusterState, trigger: TriggerAssignment) -> worker_pb2.RunTrigger:
    """The order to run a trigger."""
    return worker_pb2.RunTrigger(
        environment=trigger.environment,
        process=trigger.process,
        version=trigger.version,
        environment_digest=state.environments[trigger.environment].digest,
        token=trigger.token,
    )


def _open_intent(intent: Intent) -> worker_pb2.OpenIntent:
    request = None
    if intent.request_digest:
        request = commands_pb2.DocumentRef(
            digest=intent.request_digest, size_bytes=intent.request_size_bytes
        )
    return worker_pb2.OpenIntent(
        intent=commands_pb2.Intent(
            effect_key=intent.effect_key,
            step=intent.step,
            document=intent.document,
            effect=intent.effect.value,
            timeout_ms=intent.deadline_at_ms - intent.recorded_at_ms,
            target=intent.target,
            request=request,
            verifiable=intent.verifiable,
        ),
        resolution=intent.resolution,
        token=intent.token,
    )
