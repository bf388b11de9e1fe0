"""For every log: a purge takes what ended before its horizon, and nothing that is referred to."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from molecule.cluster.apply import StateMachine
from molecule.cluster.changes import PayloadRow
from molecule.cluster.execution import Execution
from molecule.cluster.state import ClusterState
from molecule.model.retention import RetentionClass
from molecule.wire.v1 import commands_pb2 as wire
from tests.properties import logs

Kept = dict[str, tuple[str, int, list[str]]]
"""By execution: the class of its documents, when it ended, and which they are."""


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_counted_is_what_live_and_retained_executions_refer_to(seed: int) -> None:
    machine = StateMachine()
    kept: Kept = {}
    for data in logs.seeded(seed, 80):
        live = machine.state.executions.values()
        inputs: dict[str, tuple[str, ...]] = {item.id: item.input.digests for item in live}
        result = machine.apply_entry(machine.index + 1, 1, data)
        for command in wire.Entry.FromString(data).commands:
            if command.WhichOneof("kind") == "submit_execution":
                said = command.submit_execution
                inputs.setdefault(said.execution, (said.input.stored.digest,))
        results = _results(result.changes.payloads)
        for ended in result.changes.history:
            named = "completed" if ended.state == "COMPLETED" else "failed"
            digests = [*inputs[ended.execution], *results.get(ended.execution, ())]
            kept[ended.execution] = (f"{named}_documents", ended.ended_at_ms, digests)
        _settle(machine.state, kept)
        wanted = Counter(digest for _, _, digests in kept.values() for digest in digests)
        for execution in machine.state.executions.values():
            wanted.update(_refers_to(execution))
        assert {name: use.count for name, use in machine.state.documents.items()} == wanted


def _results(payloads: list[PayloadRow]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in payloads:
        if row.slot == "result" and row.payload is not None:
            found[row.owner] = [wire.Payload.FromString(row.payload).stored.digest]
    return found


def _settle(state: ClusterState, kept: Kept) -> None:
    """Forget what the state let go, which must have ended before its horizon; slices are small."""
    known = {name for table in state.retained.values() for name in table}
    for execution, (name, ended_at_ms, _) in list(kept.items()):
        horizon_ms = max(
            state.horizons[RetentionClass(name)], state.horizons[RetentionClass.HISTORY]
        )
        if execution not in known:
            assert ended_at_ms < horizon_ms, execution
            del kept[execution]
    assert known == set(kept)


def _refers_to(execution: Execution) -> list[str]:
    progress = execution.progress
    position = progress.position.digests if progress is not None else ()
    requests = [item.request_digest for item in execution.intents.values() if item.request_digest]
    told = [digest for item in execution.signals.values() for digest in item.payload.digests]
    return [*execution.input.digests, *position, *requests, *told]
