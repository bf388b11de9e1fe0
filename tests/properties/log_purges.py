"""Purges among the commands of `logs.py`: by class and age, right or just stale."""

from typing import Any

from molecule.cluster.state import ClusterState
from molecule.model.retention import RetentionClass
from molecule.wire.v1 import commands_pb2 as wire


def purge(state: ClusterState, a: int, b: int, c: int, d: int) -> dict[str, Any]:
    """A purge of one class that may come from a former leader."""
    horizon = wire.Horizon(
        retention_class=sorted(RetentionClass)[a % len(RetentionClass)],
        before_ms=state.time_ms - (0, 1, 1_000, 60_000)[c % 4],
    )
    word = wire.PurgeEnded(
        epoch=state.epoch - (d % 8 == 7), slice_max=1 + b % 3, horizons=[horizon]
    )
    return {"purge_ended": word}
