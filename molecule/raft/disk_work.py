"""What the driver's threads do to the disk: writes, room in the journal, the identity.

Each kind at most once at a time; results come back to the replica on the loop.
"""

from collections.abc import Callable
from dataclasses import dataclass

from molecule.raft.generation import DataFolder
from molecule.raft.ports import Metrics
from molecule.raft.replica import Replica
from molecule.raft.threads import Done, Threads


@dataclass(frozen=True, slots=True)
class DiskWork:
    """Belongs to one driver; `back` lets a result in unless the driver stopped."""

    replica: Replica
    folder: DataFolder
    threads: Threads
    metrics: Metrics
    now: Callable[[], float]
    back: Callable[[Done], Done]
    die: Callable[[str], None]

    def write(self) -> None:
        """Make durable what the journal holds."""
        write = self.replica.journal.take_write()
        if write is None:
            return

        def done(error: BaseException | None, took: float) -> None:
            if error is not None:
                self.replica.sync_failed(str(error), self.now())
                return
            self.metrics.journal_synced(took)
            self.replica.synced(write.position, self.now())

        self.threads.sync(write.run, self.back(done))

    def make_room(self) -> None:
        """Remove old segments, allocate the next one."""
        allocation = self.replica.journal.take_allocation()
        if allocation is None:
            return

        def done(error: BaseException | None, _took: float) -> None:
            if error is None:
                self.replica.allocated(self.now())
            else:
                self.replica.allocation_failed(str(error), self.now())

        self.threads.make_room(allocation.run, self.back(done))

    def save_formation(self) -> None:
        """Keep what this node promised, or that it was admitted."""
        record = self.replica.formation_record()

        def done(error: BaseException | None, _took: float) -> None:
            if error is not None:
                self.die(f"the identity of the data folder could not be saved: {error}")
                return
            self.replica.formation_saved(self.now())

        self.threads.make_room(lambda: self.folder.save_formation(record), self.back(done))
