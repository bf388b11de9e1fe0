"""Changes of a good history, by which mutants are made; the good one stays as it is."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from chaos import records as r
from chaos.history import History, Operation
from chaos.record import Record
from chaos.records import Outcome
from molecule.model.execution import ExecutionState
from tests.unit.chaos.good_runs import FINAL_US

_R = TypeVar("_R", bound=Record)
_T = TypeVar("_T")


class Edit:
    """A history under change; `made` gives the result."""

    def __init__(self, history: History) -> None:
        self.good = history
        self._records: list[Record] = list(history.records)

    def made(self) -> History:
        """The changed history, closed anew."""
        body = [one for one in self._records if not isinstance(one, r.Closed)]
        closed = self.good.each(r.Closed)[0]
        return History.of([*body, closed.model_copy(update={"records": len(body)})])

    # Changes.

    def change(self, record: Record, **fields: Any) -> None:
        """Another value of some fields of one record."""
        place = next(place for place, one in enumerate(self._records) if one is record)
        self._records[place] = record.model_copy(update=fields)

    def change_each(
        self, kind: type[_R], which: Callable[[_R], bool], make: Callable[[_R], _R]
    ) -> None:
        """Another record for each of a kind for which `which` is true."""
        self._records = [
            make(one) if isinstance(one, kind) and which(one) else one for one in self._records
        ]

    def drop(
        self, kind: type[_R], which: Callable[[_R], bool] = lambda _: True, *, needed: bool = True
    ) -> None:
        """Take records away."""
        kept = [one for one in self._records if not (isinstance(one, kind) and which(one))]
        fits(not needed or len(kept) < len(self._records))
        self._records = kept

    def add(self, kind: type[Record], *, at_us: int, **fields: Any) -> None:
        """A further record, behind all that stand at the same instant or before."""
        place = next(
            (
                place
                for place, one in enumerate(self._records)
                if place and (one.at_us > at_us or isinstance(one, r.Closed))
            ),
            len(self._records),
        )
        self._records.insert(place, kind(at_us=at_us, wall_ms=0, **fields))

    def ask(self, ask: Any, *, at_us: int, **answer: Any) -> None:
        """A further request, answered a moment later."""
        number = 10_000 + len(self._records)
        self.add(r.Invoked, at_us=at_us, operation=number, client="c9", ask=ask)
        self.add(r.Answered, at_us=at_us + 1, operation=number, **answer)

    def twin(self, ending: r.Ending, execution: str, **fields: Any) -> str:
        """One more execution that every node knows, cancelled, for the rest like another one."""
        timeline = self.good.timelines[ending.execution]
        end = {"state": ExecutionState.CANCELLED, "reason": "cancelled"}
        fields = {**end, "execution": execution, "origin": execution, **fields}
        for one in self.good.endings[ending.execution]:
            self._insert(one.model_copy(update=fields))
        rows = tuple(row for row in timeline.rows if row.kind == "accepted")
        self._insert(timeline.model_copy(update={"execution": execution, "rows": rows}))
        return execution

    def refuse_cancels(self, execution: str) -> None:
        """Whoever wanted to cancel it was told that this was not done."""
        cancels = {
            one.invoked.operation
            for one in self.good.operations
            if isinstance(one.ask, r.Cancel) and one.ask.execution == execution
        }
        self.change_each(
            r.Answered,
            lambda one: one.operation in cancels,
            lambda one: one.model_copy(update={"outcome": Outcome.REFUSED, "state": None}),
        )

    def rows(self, execution: str, make: Callable[[r.TimelineRow], list[r.TimelineRow]]) -> None:
        """Other lines in a timeline: for each of them, those that stand there instead."""
        self.change_each(
            r.Timeline,
            lambda one: one.execution == execution,
            lambda one: one.model_copy(
                update={"rows": tuple(new for row in one.rows for new in make(row))}
            ),
        )

    def _insert(self, record: Record) -> None:
        self._records.insert(len(self._records) - 1, record)

    # Finding a place.

    def ending(
        self,
        process: str = "",
        state: ExecutionState = ExecutionState.COMPLETED,
        *,
        moved: bool = False,
    ) -> r.Ending:
        """An acknowledged execution of a kind that nobody has retried."""
        acknowledged = {one.answered.execution for _, one in self.good.submissions if one.is_ok}
        origins = Counter(told[0].origin for told in self.good.endings.values())
        return first(
            told[0]
            for told in self.good.endings.values()
            if told[0].state is state
            and told[0].execution in acknowledged
            and told[0].origin == told[0].execution
            and origins[told[0].origin] == 1
            and (not process or told[0].process == process)
            and (not moved or len(self.assignments(told[0].execution)) > 1)
        )

    def acknowledged(self, key: str) -> Operation:
        """The first positive answer to a key."""
        return first(
            one for ask, one in self.good.submissions if ask.idempotency_key == key and one.is_ok
        )

    def assignments(self, execution: str) -> list[r.TimelineRow]:
        """The lines of its assignments."""
        rows = self.good.timelines[execution].rows
        return [row for row in rows if row.kind == "assigned"]

    def lane(self) -> list[str]:
        """The executions of one concurrency key, in order of acceptance."""
        told = [one[0] for one in self.good.endings.values() if one[0].order_key == "customer 1"]
        executions = [one.execution for one in told]
        return sorted(executions, key=lambda one: self.good.timelines[one].rows[0].index)

    def effect(self, execution: str, step: str) -> r.EffectSeen:
        """The first effect of a step."""
        return first(
            one
            for one in self.good.each(r.EffectSeen)
            if (one.origin, one.step) == (execution, step)
        )

    def cancelled(self) -> Operation:
        """A cancel that was done and acknowledged."""
        return first(
            one for one in self.good.operations if isinstance(one.ask, r.Cancel) and one.is_ok
        )

    def register(self) -> tuple[str, list[Operation]]:
        """A register and all that was done to it and acknowledged."""
        name = "tables/prod/stock/a"
        return name, [
            one
            for one in self.good.operations
            if isinstance(one.ask, r.Read | r.Write | r.Swap)
            and one.ask.register_name == name
            and one.is_ok
        ]

    def shows(self, execution: str, state: ExecutionState) -> None:
        """A client is told at the end that it is in a state."""
        show = r.Show(execution=execution)
        self.ask(show, at_us=FINAL_US + 5, outcome=Outcome.OK, state=state)


class Unfit(Exception):
    """This history has no place for this fault."""


def fits(condition: object) -> None:
    """Go on only when there is a place."""
    if not condition:
        raise Unfit


def first(found: Iterable[_T]) -> _T:
    """The first one, or Unfit."""
    for one in found:
        return one
    raise Unfit
