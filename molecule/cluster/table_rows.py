"""Rows of key tables and claims: to bytes and back.

Which tables there are is told by `rows.py` and `restoring.py`; restoring a row makes its indexes,
too.
"""

from molecule.cluster import claims, key_tables, row_parts
from molecule.cluster.key_rows import Claim, KeyRow, TableName
from molecule.cluster.state import ClusterState
from molecule.model.ids import ExecutionId
from molecule.wire.v1 import state_pb2


def keys(state: ClusterState) -> list[str]:
    """Of all rows of key tables."""
    tables = state.key_tables.items()
    return [row_parts.joined((*name, key)) for name, table in tables for key in table.rows]


def encode(state: ClusterState, key: str) -> bytes | None:
    """A row of a key table; None when there is none."""
    environment, table, row_key = row_parts.separated(key)
    known = state.key_tables.get(TableName(environment, table))
    row = known.rows.get(row_key) if known is not None else None
    if row is None:
        return None
    return state_pb2.TableRow(
        environment=environment,
        table=table,
        key=row_key,
        value=row.value,
        unique=row_parts.pairs(row.unique),
        changed_at_ms=row.changed_at_ms,
    ).SerializeToString(deterministic=True)


def restore(state: ClusterState, _key: str, value: bytes) -> None:
    """Put a row of a key table back."""
    row = state_pb2.TableRow.FromString(value)
    unique = tuple((pair.name, pair.value) for pair in row.unique)
    kept = KeyRow(row.value, unique, row.changed_at_ms)
    key_tables.put(state, TableName(row.environment, row.table), row.key, kept)


def encode_claim(state: ClusterState, key: str) -> bytes | None:
    """The row of a claim; None when there is none."""
    claim = state.claims.get(key)
    if claim is None:
        return None
    return state_pb2.ClaimRow(
        effect=claim.effect, execution=claim.execution, until_ms=claim.until_ms
    ).SerializeToString(deterministic=True)


def restore_claim(state: ClusterState, key: str, value: bytes) -> None:
    """Put a claim back."""
    row = state_pb2.ClaimRow.FromString(value)
    claims.put(state, key, Claim(row.effect, ExecutionId(row.execution), row.until_ms))
