"""I7: registers of the control plane are linearizable, each by itself.

The search is left to `chaos/linearizable.py`. Rows of key tables, versions that are active and
triggers that are on are all registers here, by name. What must stay true: what was refused has not
happened, and what is unknown may have.
"""

import json
from collections import defaultdict

from pydantic import JsonValue

from chaos.checks.violation import Violation, sorted_lines
from chaos.history import History, Operation
from chaos.linearizable import NEVER, Call, Judgement, judge
from chaos.records import Read, Swap, Write


def violations(history: History) -> tuple[Violation, ...]:
    """Everything that breaks I7, and every register about which nothing could be decided."""
    registers: dict[str, list[tuple[Operation, Call]]] = defaultdict(list)
    for operation in history.operations:
        call = call_of(operation)
        if call is not None and isinstance(operation.ask, Read | Write | Swap):
            registers[operation.ask.register_name].append((operation, call))
    found: list[Violation] = []
    for name, called in registers.items():
        finding = judge([call for _, call in called])
        if finding.judgement is Judgement.LINEARIZABLE:
            continue
        stuck = [called[place][0] for place in finding.stuck] or [one for one, _ in called]
        found.append(
            Violation(
                "I7",
                f"a register is {finding.judgement}",
                f"{name}: {len(called)} operations; the longest explanation ends before "
                f"operation {', '.join(str(one.invoked.operation) for one in stuck[:5])}",
                (name,),
                sorted_lines(line for one in stuck for line in one.lines),
            )
        )
    return tuple(found)


def call_of(operation: Operation) -> Call | None:
    """An operation as the search sees it; None for one that tells nothing and changed nothing."""
    if not operation.may_have_happened:
        return None
    began = operation.invoked.at_us
    ended = operation.answered.at_us if operation.is_ok else NEVER
    match operation.ask:
        case Read():
            if not operation.is_ok:
                return None
            return Call("read", began, ended, _text(operation.answered.value))
        case Write(value=value):
            return Call("write", began, ended, _text(value))
        case Swap(value=value, expected=expected):
            matched = operation.answered.matched if operation.is_ok else None
            return Call("swap", began, ended, _text(value), _text(expected), matched)
        case _:
            return None


def _text(value: JsonValue) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True)
