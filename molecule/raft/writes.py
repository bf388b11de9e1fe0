"""Work on files that the journal hands out, to be done off the loop.

Each value is complete: it shares nothing mutable with the journal, so a thread may run it while
the journal goes on. The journal learns the result from its caller.
"""

from dataclasses import dataclass

from molecule.raft.ports import Files


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes to put in place and make durable.

    Afterwards the journal is durable up to `position`.
    """

    files: Files
    pieces: tuple[tuple[str, int, bytes], ...]
    position: int

    def run(self) -> None:
        """Write, then sync. Raises OSError; then nothing may be assumed of what is durable."""
        self.write()
        self.sync()

    def write(self) -> None:
        """Put the bytes in place, not yet durable."""
        for name, offset, data in self.pieces:
            self.files.write(name, offset, data)

    def sync(self) -> None:
        """Make the bytes durable, older segments first."""
        for name in dict.fromkeys(name for name, _, _ in self.pieces):
            self.files.sync(name)


@dataclass(frozen=True, slots=True)
class Allocation:
    """Segments to remove and, when `name` is set, one to allocate ahead."""

    files: Files
    removals: tuple[str, ...]
    name: str | None
    size_bytes: int

    def run(self) -> None:
        """Remove first, because that may make the room. Raises OSError."""
        for name in self.removals:
            self.files.remove(name)
        if self.name is not None:
            self.files.allocate(self.name, self.size_bytes)
