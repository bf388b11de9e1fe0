"""Rows of post-mortems: to bytes and back. What stays true: their order is that of their losses."""

from molecule.cluster.loss import Loss, Moved
from molecule.cluster.state import ClusterState
from molecule.model.ids import Epoch, ExecutionId, Incarnation, NodeId, Token
from molecule.wire.v1 import state_pb2


def encode(state: ClusterState, key: str) -> bytes | None:
    """The row of one loss; None when it is forgotten."""
    loss = state.losses.get(key)
    if loss is None:
        return None
    row = state_pb2.LossRow(
        id=loss.id,
        node=loss.node,
        incarnation=loss.incarnation,
        reason=loss.reason,
        evidence=loss.evidence,
        silent_for_ms=loss.silent_for_ms,
        index=loss.index,
        at_ms=loss.at_ms,
        registered_at_ms=loss.registered_at_ms,
        epoch=loss.epoch,
        led=loss.led,
        without_leader_ms=loss.without_leader_ms,
        moved=loss.moved,
        doubts=loss.doubts,
        repeated=loss.repeated,
        late_words=loss.late_words,
        executions=[
            state_pb2.LossRow.Moved(
                execution=name, token=known.token, became=known.became, doubts=known.doubts
            )
            for name, known in loss.executions.items()
        ],
    )
    return row.SerializeToString(deterministic=True)


def restore(state: ClusterState, key: str, value: bytes) -> None:
    """Put a loss back from its row."""
    row = state_pb2.LossRow.FromString(value)
    state.losses[key] = Loss(
        id=row.id,
        node=NodeId(row.node),
        incarnation=Incarnation(row.incarnation),
        reason=row.reason,
        evidence=row.evidence,
        silent_for_ms=row.silent_for_ms,
        index=row.index,
        at_ms=row.at_ms,
        registered_at_ms=row.registered_at_ms,
        epoch=Epoch(row.epoch),
        led=row.led,
        without_leader_ms=row.without_leader_ms,
        moved=row.moved,
        doubts=row.doubts,
        repeated=row.repeated,
        late_words=row.late_words,
        executions={
            ExecutionId(one.execution): Moved(Token(one.token), one.became, one.doubts)
            for one in row.executions
        },
    )


def put_in_order(state: ClusterState) -> None:
    """Oldest first, whatever the order of the rows was."""
    ordered = sorted(state.losses.values(), key=lambda loss: (loss.index, loss.incarnation))
    state.losses = {loss.id: loss for loss in ordered}
