"""The verdict of a demo run, as JSON and as sentences. Pure.

What must stay true: a run in which anything was lost, doubled or wrong, or in which a fault proved
nothing, is not clean.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from molecule.demo.counts import Counts
from molecule.demo.faults import PLAN, FaultKind, FaultRecord


@dataclass(frozen=True, slots=True)
class Ended:
    """How the executions of the flights ended, as the cluster says; probes are not among them."""

    executions: int
    completed: int
    failed: int
    in_doubt: int


@dataclass(frozen=True, slots=True)
class Report:
    """One run. The fields are the ones that the report file holds, in its order."""

    executions: int
    completed: int
    failed: int
    lost: int
    duplicates_target: int
    duplicates_table: int
    in_doubt: int
    resolved_by_verify: int
    leader_kills: int
    node_kills: int
    freezes: int
    voters_replaced: int
    rows_expected: int
    rows_found: int
    faults: tuple[FaultRecord, ...]

    def json(self) -> str:
        """The report file."""
        fields: dict[str, Any] = asdict(self)
        return json.dumps(fields, indent=2) + "\n"


def build(*, flights: int, ended: Ended, counts: Counts, faults: Sequence[FaultRecord]) -> Report:
    """Put together what the cluster says and what was counted outside."""
    kinds = [fault.kind for fault in faults]
    without_end = max(0, flights - ended.completed - ended.failed)
    return Report(
        executions=ended.executions,
        completed=ended.completed,
        failed=ended.failed,
        lost=without_end + counts.missing,
        duplicates_target=counts.duplicates_target,
        duplicates_table=counts.duplicates_table,
        in_doubt=ended.in_doubt,
        resolved_by_verify=counts.questions,
        leader_kills=kinds.count(FaultKind.LEADER_KILL),
        node_kills=kinds.count(FaultKind.NODE_KILL),
        freezes=kinds.count(FaultKind.FREEZE),
        voters_replaced=sum(bool(fault.replaced_by) for fault in faults),
        rows_expected=counts.rows_expected,
        rows_found=counts.rows_found,
        faults=tuple(faults),
    )


def objections(report: Report, *, flights: int, unexpected: int) -> list[str]:
    """Why a run is not clean; empty for a clean one."""
    found = []
    if report.executions != flights:
        found.append(f"{flights} flights became {report.executions} executions")
    if report.lost:
        found.append(f"{report.lost} lost")
    if report.failed:
        found.append(f"{report.failed} failed")
    if report.in_doubt:
        found.append(f"{report.in_doubt} left in doubt")
    if report.duplicates_target:
        found.append(f"{report.duplicates_target} effects doubled at the target")
    if report.duplicates_table:
        found.append(f"{report.duplicates_table} rows doubled in the table")
    if unexpected:
        found.append(f"{unexpected} rows or calls that should not be")
    if report.rows_found != report.rows_expected:
        found.append(f"{report.rows_found} rows instead of {report.rows_expected}")
    done = [fault.kind for fault in report.faults]
    found += [f"the fault {fault.kind} never came" for fault in PLAN if fault.kind not in done]
    found += [
        f"{fault.node} was not replaced"
        for fault in report.faults
        if fault.kind is FaultKind.DISK_LOSS and not fault.replaced_by
    ]
    found += [
        f"the fault {fault.kind} moved nothing" for fault in report.faults if fault.moved == 0
    ]
    return found


def sentences(report: Report, *, seconds: float) -> list[str]:
    """The result for a person."""
    told = [
        f"{report.completed:,} of {report.executions:,} executions completed in {seconds:.0f} s",
        f"{report.rows_found:,} of {report.rows_expected:,} late flights in the table",
        f"{report.duplicates_table} rows and {report.duplicates_target} calls doubled",
        f"{report.resolved_by_verify} calls in doubt settled by asking the airline",
    ]
    told += [
        f"{fault.kind} of {fault.node}: {fault.in_flight} in flight, {fault.moved} moved; accepted "
        f"again after {fault.ms_to_next_accept} ms, running again after {fault.ms_to_running} ms"
        for fault in report.faults
    ]
    told += [
        f"{fault.replaced_by} votes in the place of {fault.node}, whose data was deleted, "
        f"{fault.ms_to_replaced} ms after the loss"
        for fault in report.faults
        if fault.replaced_by
    ]
    return told
