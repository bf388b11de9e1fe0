"""The part of the slow model that waits: times, signals, deadlines."""

from typing import Any

from molecule.wire.v1 import commands_pb2 as wire
from tests.properties.model_parts import PARKED, Run, Told
from tests.properties.order import Order


class Waits(Order):
    """What the model knows of time; it is a base of `Model`."""

    def __init__(self, hold_ms: int) -> None:
        super().__init__()
        self.hold_ms = hold_ms
        self.time = 0
        self.epoch = 0

    def find(self, name: str) -> Run | None:
        return next((run for run in self.runs if run.name == name), None)

    def settled(self, run: Run) -> int:
        """When no late request of an effect in doubt can be under way; 0 without doubts."""
        return max([effect.deadline + self.hold_ms for effect in run.doubts], default=0)

    def wait(self, run: Run, until: int) -> None:
        self._set(run, "WAITING")
        run.wait_number += 1
        run.wait_until = max(until, self.settled(run))
        run.awaited = ()

    def wait_as_said(self, run: Run, said: wire.EndAttempt) -> None:
        is_timed = said.wait_until_ms > 0 or said.wait_ms > 0
        self.wait(run, max(said.wait_until_ms, self.time + said.wait_ms))
        run.awaited = tuple(one.name for one in said.awaited)
        if not is_timed and (run.awaited or said.until_released):
            run.wait_until = 0
        self._wake(run)

    def _wake(self, run: Run) -> None:
        told = [one.name for one in run.told.values() if not one.taken]
        if run.state != "WAITING" or not any(name in told for name in run.awaited):
            return
        if self.settled(run) <= self.time:
            self._set(run, "PENDING")
        else:
            run.wait_until = self.settled(run)

    def signal_execution(self, said: wire.SignalExecution) -> bool:
        run = self.find(said.execution)
        if run is None:
            return False
        known = run.told.get(said.signal)
        if known is not None:
            return known.body == said.body_digest
        if not run.live:
            return False
        run.told[said.signal] = Told(said.name, said.body_digest)
        self._wake(run)
        return True

    def count_parked(self, run: Run, before: str) -> None:
        """The time it is parked does not count against its deadline."""
        if run.state in PARKED and before not in PARKED:
            run.parked_at = self.time
        if before in PARKED and run.state not in PARKED and run.deadline:
            run.deadline += self.time - run.parked_at

    def fail_execution(self, said: wire.FailExecution) -> bool:
        run = self.find(said.execution)
        if said.epoch != self.epoch or run is None or not run.live:
            return False
        if said.error_code == "expired":
            may = run.state == "PENDING" and not run.attempts and 0 < run.expires <= self.time
        else:
            may = run.state not in PARKED and 0 < run.deadline <= self.time
        if not may:
            return False
        if run.doubts:
            settled = max(run.deadline, self.settled(run))
            if run.state != "WAITING" or 0 < run.wait_until <= max(settled, self.time):
                return False
            run.wait_until = settled
            return True
        self._set(run, "FAILED")
        return True


def ways(a: int, b: int) -> dict[str, Any]:
    """How an attempt that ends as WAITING waits."""
    if a % 2:
        return {"wait_ms": 1_000 * (a % 4)}
    return {
        "wait_ms": 2_000 * (a % 3),
        "awaited": [wire.Awaited(name=("go", "stop")[b % 2])] if b % 3 else [],
        "until_released": b % 3 == 0,
    }


def told(execution: str, a: int, b: int) -> wire.SignalExecution:
    """A signal under one of a few ids, now and then with another body."""
    return wire.SignalExecution(
        execution=execution,
        signal=f"s{a % 5}",
        name=("go", "stop")[a % 2],
        body_digest="other" if b == 11 else "body",
        payload=wire.Payload(stored=wire.DocumentRef(digest=f"d{a % 4}", size_bytes=10)),
    )
