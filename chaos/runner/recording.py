"""The history of a run while it is made: one clock, one order, numbers for requests and faults.

Only ever appended to, by one event loop. What must stay true: every request that was written down
gets exactly one answer, also when whoever sent it is cancelled.
"""

import itertools
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from chaos.history import History
from chaos.record import Record
from chaos.records import Answered, Ask, Closed, Invoked, Outcome

_R = TypeVar("_R", bound=Record)
Reading = Callable[[httpx2.Response], dict[str, Any]]
"""What an answer of success tells, as fields of `Answered`."""

_NOTHING_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class Recording:
    """Owned by the loop of the run."""

    def __init__(self) -> None:
        self._began_ns = time.monotonic_ns()
        self.records: list[Record] = []
        self._operations = itertools.count(1)
        self._faults = itertools.count(1)

    def now_us(self) -> int:
        """Microseconds since the run began, by the one clock of its history."""
        return (time.monotonic_ns() - self._began_ns) // 1000

    def add(self, kind: type[_R], **fields: Any) -> _R:
        """Write down what was just seen."""
        record = kind(at_us=self.now_us(), wall_ms=time.time_ns() // 1_000_000, **fields)
        self.records.append(record)
        return record

    def next_fault(self) -> int:
        """A number for a fault."""
        return next(self._faults)

    async def ask(
        self,
        client: str,
        ask: Ask,
        send: Callable[[], Awaitable[httpx2.Response]],
        read: Reading,
    ) -> Answered:
        """Send a request and write down what was asked and what became of it."""
        operation = next(self._operations)
        self.add(Invoked, operation=operation, client=client, ask=ask)
        told: dict[str, Any] = {"outcome": Outcome.UNKNOWN, "code": "abandoned"}
        try:
            told = _outcome(await send(), read)
        except _NOTHING_SENT as error:
            told = {"outcome": Outcome.REFUSED, "code": type(error).__name__}
        except httpx2.TransportError as error:
            told = {"outcome": Outcome.UNKNOWN, "code": type(error).__name__}
        finally:
            answered = self.add(Answered, operation=operation, **told)
        return answered

    def closed(self) -> History:
        """The whole history; nothing can be added any more."""
        self.add(Closed, records=len(self.records))
        return History.of(self.records)


def write(history: History, path: Path) -> None:
    """Keep a history in a file."""
    with path.open("w", encoding="utf-8") as file:
        history.write(file)


def _outcome(response: httpx2.Response, read: Reading) -> dict[str, Any]:
    if response.is_success:
        return {"outcome": Outcome.OK, **read(response)}
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    is_definite = isinstance(problem, dict) and problem.get("definite") is True
    code = str(problem.get("code", "")) if isinstance(problem, dict) else ""
    return {
        "outcome": Outcome.REFUSED if is_definite else Outcome.UNKNOWN,
        "code": code or f"status {response.status_code}",
    }
