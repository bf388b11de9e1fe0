"""The demo's count of the outside world finds everything that may go wrong there."""

from dataclasses import replace
from typing import Any

from molecule.demo import counts
from molecule.demo.counts import Counts, LateFlight

LATE = LateFlight("UA1545", "United Air Lines Inc.", 42, "2013-01-01T10:00:00Z")
OTHER = LateFlight("AA11", "American Airlines Inc.", 16, "2013-01-01T11:00:00Z")
CLEAN = Counts(
    rows_expected=2,
    rows_found=2,
    duplicates_table=0,
    duplicates_target=0,
    missing=0,
    unexpected=0,
    questions=0,
)


def a_row(delay: str, flight: str = "1545") -> dict[str, str]:
    return {"carrier": "UA", "flight": flight, "dep_delay": delay, "time_hour": LATE.at}


def told(flight: LateFlight, key: str) -> dict[str, Any]:
    return {"kind": "told", "key": key, "flight": flight.flight, "at": flight.at}


def counted(*, table: list[LateFlight], target: list[dict[str, Any]]) -> Counts:
    return counts.compare([LATE, OTHER], table, target)


def test_late_flights_are_those_of_more_than_a_quarter_of_an_hour() -> None:
    rows = [a_row("42"), a_row("15", "2"), a_row("NA", "3"), a_row("-4", "4")]
    assert counts.expected(rows, {"UA": "United Air Lines Inc."}) == [LATE]


def test_a_run_in_which_all_happened_once_is_clean() -> None:
    assert counted(table=[LATE, OTHER], target=[told(LATE, "1"), told(OTHER, "2")]) == CLEAN


def test_a_row_written_twice_is_a_duplicate_of_the_table() -> None:
    found = counted(table=[LATE, LATE, OTHER], target=[told(LATE, "1"), told(OTHER, "2")])
    assert found == replace(CLEAN, rows_found=3, duplicates_table=1)


def test_a_call_made_twice_is_a_duplicate_of_the_target() -> None:
    calls = [told(LATE, "1"), told(LATE, "1"), told(OTHER, "2")]
    assert counted(table=[LATE, OTHER], target=calls) == replace(CLEAN, duplicates_target=1)


def test_a_call_made_twice_under_two_keys_is_a_duplicate_too() -> None:
    calls = [told(LATE, "1"), told(LATE, "3"), told(OTHER, "2")]
    assert counted(table=[LATE, OTHER], target=calls) == replace(CLEAN, duplicates_target=1)


def test_a_flight_that_the_table_lacks_is_missing() -> None:
    found = counted(table=[LATE], target=[told(LATE, "1"), told(OTHER, "2")])
    assert found == replace(CLEAN, rows_found=1, missing=1)


def test_a_flight_that_nobody_told_is_missing() -> None:
    assert counted(table=[LATE, OTHER], target=[told(LATE, "1")]) == replace(CLEAN, missing=1)


def test_a_row_with_wrong_values_is_missing_and_unexpected() -> None:
    wrong = OTHER._replace(minutes=1)
    found = counted(table=[LATE, wrong], target=[told(LATE, "1"), told(OTHER, "2")])
    assert found == replace(CLEAN, missing=1, unexpected=1)


def test_questions_are_counted_once_per_flight() -> None:
    asked = {"kind": "asked", "flight": LATE.flight, "at": LATE.at, "known": True}
    calls = [told(LATE, "1"), told(OTHER, "2"), asked, asked]
    assert counted(table=[LATE, OTHER], target=calls) == replace(CLEAN, questions=1)
