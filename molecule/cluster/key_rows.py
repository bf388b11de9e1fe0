"""Key tables and claimed keys as every voter keeps them in memory: small rows, bounded in all.

How they change is told by `key_tables.py` and `claims.py`. What stays true: the indexes of a table
are what its rows say.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from molecule.model.ids import ExecutionId


class TableName(NamedTuple):
    """A key table in its environment."""

    environment: str
    table: str


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One row: its value as JSON text with sorted names, and further keys that find it."""

    value: str
    unique: tuple[tuple[str, str], ...] = ()
    changed_at_ms: int = 0

    def size_bytes(self, key: str) -> int:
        """What it counts against the bounds, under this key."""
        texts = (key, self.value, *(part for pair in self.unique for part in pair))
        return sum(len(text.encode()) for text in texts)


@dataclass(slots=True)
class KeyTable:
    """The rows of one table by key. Only apply changes it."""

    rows: dict[str, KeyRow] = field(default_factory=dict)
    found_by: dict[tuple[str, str], str] = field(default_factory=dict)
    """Unique key and value -> key of the row."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that an effect of an execution took, so that nobody else does the same work."""

    effect: bytes
    """Fingerprint of the effect key, which is the same on every attempt and re-drive."""
    execution: ExecutionId
    until_ms: int = 0
    """Cluster time until which the key counts; 0: its execution has not ended."""
