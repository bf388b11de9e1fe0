"""The part of the slow model that orders: keys, overlap, pauses."""

from molecule.wire.v1 import commands_pb2 as wire
from tests.properties.model_parts import KEEPS, LIMIT, PARKED, PASSES, Run


class Order:
    """What the model knows of who may start; it is a base of `Model`."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.places = 0
        self.paused: set[str] = set()
        self.held: set[tuple[str, str]] = set()

    def may_start(self, run: Run) -> bool:
        """PENDING, and among the first of its lock, in the order of acceptance."""
        if run.state != "PENDING":
            return False
        if not run.lock:
            return True
        # Only processes whose limit is one have keys that are held: nobody else is ready then.
        if (run.process, run.lock) in self.held:
            return False
        return run in self.queue(run.process, run.lock)[: LIMIT[run.process]]

    def queue(self, process: str, lock: str) -> list[Run]:
        """All that hold or want a lock, in order; what is parked may have let others pass."""
        found = [
            run
            for run in self.runs
            if run.live
            and (run.process, run.lock) == (process, lock)
            and not (process == PASSES and run.state in PARKED)
        ]
        return sorted(found, key=lambda run: run.place)

    def _set(self, run: Run, state: str) -> None:
        if run.process == PASSES and run.state in PARKED and state not in PARKED:
            run.place = self._place()
        run.state = state
        if not run.live and run.letters and run.process == KEEPS and run.lock:
            self.held.add((run.process, run.lock))

    def _place(self) -> int:
        self.places += 1
        return self.places

    def pause_process(self, said: wire.PauseProcess) -> bool:
        if said.paused:
            self.paused.add(said.process)
        else:
            self.paused.discard(said.process)
        return True

    def settle_key(self, said: wire.SettleKey) -> bool:
        if (said.process, said.concurrency_key) not in self.held:
            return False
        self.held.remove((said.process, said.concurrency_key))
        return True
