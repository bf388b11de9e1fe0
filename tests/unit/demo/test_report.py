"""The verdict of a demo run: clean only when nothing at all speaks against it."""

import json
from dataclasses import replace

import pytest

from molecule.demo import report
from molecule.demo.counts import Counts
from molecule.demo.faults import FaultKind, FaultRecord
from molecule.demo.report import Ended, Report

ENDED = Ended(executions=1000, completed=1000, failed=0, in_doubt=0)
COUNTS = Counts(
    rows_expected=200,
    rows_found=200,
    duplicates_table=0,
    duplicates_target=0,
    missing=0,
    unexpected=0,
    questions=7,
)
FAULTS = tuple(
    FaultRecord(
        kind,
        "n1",
        in_flight=80,
        moved=60,
        ms_to_next_accept=400,
        ms_to_running=3000,
        replaced_by="n4" if kind is FaultKind.DISK_LOSS else "",
    )
    for kind in FaultKind
)


def a_report(
    ended: Ended = ENDED, counts: Counts = COUNTS, faults: tuple[FaultRecord, ...] = FAULTS
) -> Report:
    return report.build(flights=1000, ended=ended, counts=counts, faults=faults)


def objections(told: Report, unexpected: int = 0) -> list[str]:
    return report.objections(told, flights=1000, unexpected=unexpected)


def test_a_clean_run_has_no_objections() -> None:
    assert objections(a_report()) == []


def test_the_report_file_holds_these_fields() -> None:
    told = json.loads(a_report().json())
    names = (
        "executions completed failed lost duplicates_target duplicates_table in_doubt "
        "resolved_by_verify leader_kills node_kills freezes voters_replaced rows_expected "
        "rows_found faults"
    )
    fault_names = (
        "kind node in_flight moved ms_to_next_accept ms_to_running replaced_by ms_to_replaced"
    )
    assert list(told) == names.split()
    assert list(told["faults"][0]) == fault_names.split()
    counted = ("leader_kills", "node_kills", "freezes", "voters_replaced")
    assert [told[name] for name in counted] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "told",
    [
        a_report(ended=replace(ENDED, executions=1001)),
        a_report(ended=replace(ENDED, completed=999)),
        a_report(ended=replace(ENDED, completed=999, failed=1)),
        a_report(ended=replace(ENDED, in_doubt=1)),
        a_report(counts=replace(COUNTS, missing=1)),
        a_report(counts=replace(COUNTS, duplicates_table=1)),
        a_report(counts=replace(COUNTS, duplicates_target=1)),
        a_report(counts=replace(COUNTS, rows_found=199)),
        a_report(faults=FAULTS[:2]),
        a_report(faults=(*FAULTS[:3], replace(FAULTS[3], moved=0))),
        a_report(faults=(*FAULTS[:3], replace(FAULTS[3], replaced_by=""))),
    ],
)
def test_anything_lost_doubled_or_unproved_is_an_objection(told: Report) -> None:
    assert objections(told)


def test_rows_that_should_not_be_are_an_objection() -> None:
    assert objections(a_report(), unexpected=1)


def test_an_execution_without_an_end_is_lost() -> None:
    assert a_report(ended=replace(ENDED, completed=990, failed=4)).lost == 6


def test_the_sentences_name_each_fault() -> None:
    told = "\n".join(report.sentences(a_report(), seconds=60.0))
    assert all(kind.value in told for kind in FaultKind)
