"""A history: the records of one run in the order of its file, written, read and looked up.

What must stay true: a file that is broken or contradicts itself is refused with the number of the
line; one that ends early, because its writer was killed, is read and tells that it is not whole.
"""

import itertools
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar

from pydantic import ValidationError

from molecule.chaos.records import (
    RECORD,
    Answered,
    Closed,
    FaultBegan,
    FaultConfirmed,
    FaultEnded,
    FaultUnconfirmed,
    Header,
    Invoked,
    Outcome,
    Phase,
    PhaseBegan,
    Record,
)

FILE: Final = "history.jsonl"
LINE_CHARACTERS_MAX: Final = 2**20
"""A longer line was not written by us."""

_R = TypeVar("_R", bound=Record)


class BrokenHistory(Exception):
    """The file is no history of a run. `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")


@dataclass(frozen=True, slots=True)
class Operation:
    """A submission with its answer; None: the writer was killed before one came."""

    invoked: Invoked
    answered: Answered | None

    @property
    def outcome(self) -> Outcome:
        """Without an answer it is unknown."""
        return Outcome.UNKNOWN if self.answered is None else self.answered.outcome


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault from its beginning to its end; what is missing is None."""

    began: FaultBegan
    confirmed: FaultConfirmed | None
    unconfirmed: FaultUnconfirmed | None
    ended: FaultEnded | None

    @property
    def is_confirmed(self) -> bool:
        """Its effect was seen, and nothing took that back."""
        return self.confirmed is not None and self.unconfirmed is None


class History:
    """Records in order. Made from records or by `read`, which refuse what is broken."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = tuple(records)
        if not self.records or not isinstance(self.records[0], Header):
            raise BrokenHistory(1, "there is no header")
        self.header = self.records[0]
        _check(self.records)

    @classmethod
    def read(cls, path: Path) -> "History":
        """The history that a file holds; BrokenHistory names the first line that is wrong."""
        with path.open(encoding="utf-8", errors="replace") as file:
            return cls(_records(file))

    def each(self, kind: type[_R]) -> tuple[_R, ...]:
        """All records of one kind, in the order of the file."""
        return tuple(record for record in self._by_kind[kind] if isinstance(record, kind))

    @cached_property
    def _by_kind(self) -> dict[type[Record], list[Record]]:
        found: dict[type[Record], list[Record]] = defaultdict(list)
        for record in self.records:
            found[type(record)].append(record)
        return found

    @property
    def closed(self) -> Closed | None:
        """Its last line; None when its writer never came so far."""
        last = self.records[-1]
        return last if isinstance(last, Closed) else None

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """Every submission with its answer, in the order in which they were sent."""
        answers = {answer.operation: answer for answer in self.each(Answered)}
        return tuple(Operation(sent, answers.get(sent.operation)) for sent in self.each(Invoked))

    @cached_property
    def acknowledged(self) -> dict[str, set[str]]:
        """By idempotency key: the executions that clients were told of."""
        found: dict[str, set[str]] = defaultdict(set)
        for operation in self.operations:
            if operation.answered is not None and operation.outcome is Outcome.OK:
                found[operation.invoked.idempotency_key].add(operation.answered.execution)
        return dict(found)

    @cached_property
    def accepted_at_us(self) -> list[int]:
        """When submissions were answered as accepted, in order."""
        return sorted(
            one.answered.at_us
            for one in self.operations
            if one.answered is not None and one.outcome is Outcome.OK
        )

    @cached_property
    def faults(self) -> tuple[Struck, ...]:
        """Every fault, in the order of their beginnings."""
        confirmed = {record.fault: record for record in self.each(FaultConfirmed)}
        unconfirmed = {record.fault: record for record in self.each(FaultUnconfirmed)}
        ended = {record.fault: record for record in self.each(FaultEnded)}
        return tuple(
            Struck(
                began,
                confirmed.get(began.fault),
                unconfirmed.get(began.fault),
                ended.get(began.fault),
            )
            for began in self.each(FaultBegan)
        )

    def phase(self, phase: Phase) -> PhaseBegan | None:
        """Where a phase begins."""
        return next((began for began in self.each(PhaseBegan) if began.phase is phase), None)


class Recording:
    """A history while it is made: one clock, one order; each line is in the file at once."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._began_ns = time.monotonic_ns()
        self._operations = itertools.count(1)
        self._faults = itertools.count(1)
        self.records: list[Record] = []

    def now_us(self) -> int:
        """Microseconds since the run began, by the one clock of its history."""
        return (time.monotonic_ns() - self._began_ns) // 1000

    def add(self, kind: type[_R], **fields: Any) -> _R:
        """Write down what was just seen."""
        record = kind(at_us=self.now_us(), wall_ms=time.time_ns() // 1_000_000, **fields)
        self.records.append(record)
        self._file.write(line_of(record))
        self._file.flush()
        return record

    def next_operation(self) -> int:
        """A number for a request."""
        return next(self._operations)

    def next_fault(self) -> int:
        """A number for a fault."""
        return next(self._faults)

    def close(self, *, interrupted: bool) -> None:
        """The last line."""
        self.add(Closed, records=len(self.records), interrupted=interrupted)


def line_of(record: Record) -> str:
    """A record as a line of the file, its end included."""
    return record.model_dump_json() + "\n"


def _records(file: Iterable[str]) -> Iterable[Record]:
    for number, line in enumerate(file, start=1):
        if len(line) > LINE_CHARACTERS_MAX:
            raise BrokenHistory(number, f"longer than {LINE_CHARACTERS_MAX} characters")
        if not line.endswith("\n"):
            return  # The writer was killed within it: what it would have said, nobody knows.
        try:
            yield RECORD.validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise BrokenHistory(number, f"{place}: {first['msg']}") from None


def _check(records: tuple[Record, ...]) -> None:
    asked: set[int] = set()
    answered: set[int] = set()
    began: set[int] = set()
    for line, record in enumerate(records, start=1):
        match record:
            case Header() if line > 1:
                raise BrokenHistory(line, "another header")
            case Invoked(operation=operation):
                if operation in asked:
                    raise BrokenHistory(line, f"operation {operation} was sent before")
                asked.add(operation)
            case Answered(operation=operation):
                if operation not in asked or operation in answered:
                    raise BrokenHistory(line, f"operation {operation} waits for no answer")
                if record.outcome is Outcome.OK and not record.execution:
                    raise BrokenHistory(line, "the answer tells no execution")
                answered.add(operation)
            case FaultBegan(fault=fault):
                if fault in began:
                    raise BrokenHistory(line, f"fault {fault} began before")
                began.add(fault)
            case FaultConfirmed(fault=fault) | FaultUnconfirmed(fault=fault):
                _check_known(line, fault, began)
            case FaultEnded(fault=fault):
                _check_known(line, fault, began)
            case Closed(records=count):
                if line != len(records) or count != line - 1:
                    raise BrokenHistory(line, f"closes {count} records behind {line - 1}")
            case _:
                pass


def _check_known(line: int, fault: int, began: set[int]) -> None:
    if fault not in began:
        raise BrokenHistory(line, f"fault {fault} is not under way")
