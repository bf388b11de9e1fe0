"""A history: the records of one run in the order of its file, written, read and looked up.

What a record means is left to `records.py`, what follows from them to `checks/`. What must stay
true: a file that is broken, cut short or contradicts itself is refused with the number of the
line; no check ever sees a part of a run for the whole.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self, TextIO, TypeVar

from pydantic import ValidationError

from chaos.declared import Header
from chaos.record import Record
from chaos.records import (
    RECORD,
    Answered,
    Ask,
    Cancel,
    Closed,
    Ending,
    FaultBegan,
    FaultConfirmed,
    FaultEnded,
    Invoked,
    Outcome,
    Phase,
    PhaseBegan,
    Read,
    Show,
    Submit,
    Swap,
    Timeline,
    Write,
)
from molecule.model.execution import TERMINAL, ExecutionState

LINE_CHARACTERS_MAX = 4 * 2**20
"""A longer line was not written by us."""

_R = TypeVar("_R", bound=Record)


class BrokenHistory(Exception):
    """The file is no history of a whole run. `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why


@dataclass(frozen=True, slots=True)
class Operation:
    """A request of a client with its answer."""

    invoked: Invoked
    answered: Answered

    @property
    def ask(self) -> Ask:
        """What was asked for."""
        return self.invoked.ask

    @property
    def is_ok(self) -> bool:
        """It was done, and the client was told."""
        return self.answered.outcome is Outcome.OK

    @property
    def may_have_happened(self) -> bool:
        """False only when the client was told that it certainly did not."""
        return self.answered.outcome is not Outcome.REFUSED

    @property
    def lines(self) -> tuple[int, int]:
        """Where it stands."""
        return self.invoked.line, self.answered.line


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault from its beginning to its end; what is missing is None."""

    began: FaultBegan
    confirmed: FaultConfirmed | None
    ended: FaultEnded | None


class History:
    """Records with their line numbers. Made by `of` or `read`, which refuse what is broken."""

    def __init__(self, header: Header, records: tuple[Record, ...]) -> None:
        self.header = header
        self.records = records

    @classmethod
    def of(cls, records: Iterable[Record]) -> Self:
        """The history of these records, numbered anew; BrokenHistory when they are none."""
        numbered = tuple(record.numbered(line) for line, record in enumerate(records, start=1))
        header = _header(numbered)
        _check_ends(numbered)
        _check_operations(numbered)
        _check_faults(numbered)
        _check_phases(numbered)
        return cls(header, numbered)

    def each(self, kind: type[_R]) -> tuple[_R, ...]:
        """All records of one kind, in the order of the file."""
        return tuple(record for record in self._by_kind[kind] if isinstance(record, kind))

    @cached_property
    def _by_kind(self) -> dict[type[Record], list[Record]]:
        found: dict[type[Record], list[Record]] = defaultdict(list)
        for record in self.records:
            found[type(record)].append(record)
        return found

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """Every request with its answer, in the order in which they were sent."""
        answers = {answer.operation: answer for answer in self.each(Answered)}
        return tuple(Operation(sent, answers[sent.operation]) for sent in self.each(Invoked))

    @cached_property
    def submissions(self) -> tuple[tuple[Submit, Operation], ...]:
        """Every submission that was sent, repeats too."""
        return tuple((one.ask, one) for one in self.operations if isinstance(one.ask, Submit))

    @cached_property
    def ends_told(self) -> tuple[tuple[str, ExecutionState, Operation], ...]:
        """Each answer that told a client of the terminal state of an execution."""
        found = []
        for operation in self.operations:
            state = operation.answered.state
            if not operation.is_ok or state not in TERMINAL:
                continue
            match operation.ask:
                case Submit():
                    found.append((operation.answered.execution, state, operation))
                case Cancel(execution=execution) | Show(execution=execution):
                    found.append((execution, state, operation))
                case Read() | Write() | Swap():
                    pass
        return tuple(found)

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """Every fault, in the order of their beginnings."""
        confirmed = {record.fault: record for record in reversed(self.each(FaultConfirmed))}
        ended = {record.fault: record for record in self.each(FaultEnded)}
        return tuple(
            Fault(began, confirmed.get(began.fault), ended.get(began.fault))
            for began in self.each(FaultBegan)
        )

    @cached_property
    def endings(self) -> dict[str, tuple[Ending, ...]]:
        """What the nodes told at the end of each execution, by its id."""
        found: dict[str, list[Ending]] = defaultdict(list)
        for ending in self.each(Ending):
            found[ending.execution].append(ending)
        return {execution: tuple(told) for execution, told in found.items()}

    @cached_property
    def timelines(self) -> dict[str, Timeline]:
        """The timeline of each execution that one was read of; of several the first."""
        return {timeline.execution: timeline for timeline in reversed(self.each(Timeline))}

    def phase(self, phase: Phase) -> PhaseBegan | None:
        """Where a phase begins."""
        return next((began for began in self.each(PhaseBegan) if began.phase is phase), None)

    # Files.

    @classmethod
    def read(cls, file: Iterable[str]) -> Self:
        """The history that a file holds; BrokenHistory names the first line that is wrong."""
        return cls.of(_records(file))

    def write(self, file: TextIO) -> None:
        """Write what `read` reads."""
        file.writelines(line_of(record) for record in self.records)


def line_of(record: Record) -> str:
    """A record as a line of the file, its end included."""
    return record.model_dump_json() + "\n"


def _records(file: Iterable[str]) -> Iterator[Record]:
    for number, line in enumerate(file, start=1):
        if len(line) > LINE_CHARACTERS_MAX:
            raise BrokenHistory(number, f"longer than {LINE_CHARACTERS_MAX} characters")
        if not line.endswith("\n"):
            raise BrokenHistory(number, "cut short: it has no end")
        try:
            record: Record = RECORD.validate_json(line)
        except ValidationError as error:
            raise BrokenHistory(number, _said(error)) from error
        yield record


def _said(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def _header(records: tuple[Record, ...]) -> Header:
    if not records:
        raise BrokenHistory(1, "there is no header: the file is empty")
    header = records[0]
    if not isinstance(header, Header):
        raise BrokenHistory(1, "there is no header")
    for record in records[1:]:
        if isinstance(record, Header):
            raise BrokenHistory(record.line, "another header")
    return header


def _check_ends(records: tuple[Record, ...]) -> None:
    for record in records[:-1]:
        if isinstance(record, Closed):
            raise BrokenHistory(record.line + 1, "stands behind the end")
    last = records[-1]
    if not isinstance(last, Closed):
        raise BrokenHistory(last.line, "the history ends here without being closed")
    if last.records != len(records) - 1:
        raise BrokenHistory(
            last.line, f"closes {last.records} records and stands behind {len(records) - 1}"
        )


def _check_operations(records: tuple[Record, ...]) -> None:
    asked: dict[int, Invoked] = {}
    answered: set[int] = set()
    for record in records:
        if isinstance(record, Invoked):
            if record.operation in asked:
                raise BrokenHistory(record.line, f"operation {record.operation} was sent before")
            asked[record.operation] = record
        elif isinstance(record, Answered):
            sent = asked.get(record.operation)
            if sent is None or record.operation in answered:
                raise BrokenHistory(
                    record.line, f"operation {record.operation} does not wait for an answer"
                )
            answered.add(record.operation)
            if record.at_us < sent.at_us:
                raise BrokenHistory(record.line, f"answers before line {sent.line} has asked")
            missing = _missing(sent.ask, record)
            if missing:
                raise BrokenHistory(record.line, f"the answer tells no {missing}")
    for operation, sent in asked.items():
        if operation not in answered:
            raise BrokenHistory(sent.line, f"operation {operation} was never answered")


def _missing(ask: Ask, answer: Answered) -> str:
    """What an answer of this kind has to tell and does not."""
    if answer.outcome is not Outcome.OK:
        return ""
    match ask:
        case Submit():
            return "" if answer.execution else "execution"
        case Cancel() | Show():
            return "" if answer.state is not None else "state"
        case Swap():
            return "" if answer.matched is not None else "match"
        case Read() | Write():
            return ""


def _check_faults(records: tuple[Record, ...]) -> None:
    began: dict[int, FaultBegan] = {}
    ended: set[int] = set()
    for record in records:
        if isinstance(record, FaultBegan):
            if record.fault in began:
                raise BrokenHistory(record.line, f"fault {record.fault} began before")
            began[record.fault] = record
        elif isinstance(record, FaultConfirmed | FaultEnded):
            start = began.get(record.fault)
            if start is None or record.fault in ended:
                raise BrokenHistory(record.line, f"fault {record.fault} is not under way")
            if record.at_us < start.at_us:
                raise BrokenHistory(record.line, f"stands before line {start.line} in time")
            if isinstance(record, FaultEnded):
                ended.add(record.fault)


def _check_phases(records: tuple[Record, ...]) -> None:
    order = list(Phase)
    reached = -1
    for record in records:
        if isinstance(record, PhaseBegan):
            if order.index(record.phase) <= reached:
                raise BrokenHistory(record.line, f"the phase {record.phase} comes too late")
            reached = order.index(record.phase)
