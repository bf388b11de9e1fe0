"""What every record of a history has: when it was written down, and at which line it stands.

The kinds of records are left to `declared.py` and `records.py`. What must stay true: a record never
changes, and a field that nobody knows is refused.
"""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr


class Value(BaseModel):
    """A part of a record."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Record(Value):
    """One line: when it was written down, by the monotonic clock of the run and by the wall's."""

    at_us: int = Field(ge=0)
    wall_ms: int = Field(ge=0)
    _line: int = PrivateAttr(default=0)

    @property
    def line(self) -> int:
        """Number of its line in the file, from 1; 0 while it stands in none."""
        return self._line

    def numbered(self, line: int) -> Self:
        """The same record at a line."""
        copy = self.model_copy()
        copy._line = line  # noqa: SLF001
        return copy
