"""What the demo's outside world holds, compared with what the flight data says it must hold.

Counts only what the target and the table wrote themselves; Molecule is not asked. Pure.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

LATE_AFTER_MINUTES: Final = 15
MISSING: Final = "NA"


class LateFlight(NamedTuple):
    """A late departure as the table and the airline get it. `flight` and `at` name it."""

    flight: str
    airline: str
    minutes: int
    at: str

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from every other."""
        return self.flight, self.at


@dataclass(frozen=True, slots=True)
class Counts:
    """The comparison. Everything but the first two and `questions` must be zero."""

    rows_expected: int
    rows_found: int
    duplicates_table: int
    duplicates_target: int
    missing: int
    """Late flights that the table or the target does not have as they should be."""
    unexpected: int
    """Rows and calls for something that was not late at all, or with wrong values."""
    questions: int
    """Flights about which `verify` asked the target."""


def expected(rows: Iterable[Mapping[str, str]], airlines: Mapping[str, str]) -> list[LateFlight]:
    """The late departures among the rows of the file, worked out without Molecule."""
    return [
        LateFlight(
            row["carrier"] + row["flight"],
            airlines[row["carrier"]],
            int(row["dep_delay"]),
            row["time_hour"],
        )
        for row in rows
        if row["dep_delay"] != MISSING and int(row["dep_delay"]) > LATE_AFTER_MINUTES
    ]


def compare(
    wanted: Iterable[LateFlight],
    table: Iterable[LateFlight],
    target: Iterable[Mapping[str, Any]],
) -> Counts:
    """What is doubled, missing or wrong; `target` are the lines that the target wrote."""
    due = {flight.name: flight for flight in wanted}
    rows = list(table)
    calls = [line for line in target if line["kind"] == "told"]
    keys = Counter(line["key"] for line in calls)
    told = Counter((line["flight"], line["at"]) for line in calls)
    stored = Counter(row.name for row in rows)
    right = {row.name for row in rows if due.get(row.name) == row}
    return Counts(
        rows_expected=len(due),
        rows_found=len(rows),
        duplicates_table=len(rows) - len(stored),
        # The same effect under two keys is as bad as the same key twice.
        duplicates_target=len(calls) - min(len(keys), len(told)),
        missing=sum(name not in right or name not in told for name in due),
        unexpected=len(stored.keys() - right) + len(told.keys() - due.keys()),
        questions=len({(each["flight"], each["at"]) for each in target if each["kind"] == "asked"}),
    )
