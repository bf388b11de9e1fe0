"""A node's copy of the replicated state in a whole simulation: the product's, with rows in memory.

Stands where `register.Register` stands in the simulation of consensus alone. What must stay true:
what a snapshot brings back is all that the product would read from its `state.db`.
"""

import json
from collections.abc import Mapping, Sequence

from molecule.cluster.apply import StateMachine
from molecule.cluster.changes import EntryResult
from molecule.cluster.outcome import Outcome as Said
from molecule.config import Limits
from molecule.node.replica import Replica
from molecule.storage.rows import Batch, Mark, PayloadRow
from tests.simulation.register import NOTHING, Outcome, StateCopy

PayloadName = tuple[str, str]


class Rows:
    """The rows of `state.db` that the parts of a node read."""

    def __init__(self) -> None:
        self.kept: dict[PayloadName, PayloadRow] = {}

    def stage(self, batch: Batch) -> None:
        """Readable at once."""
        for row in batch.payloads:
            name = (row.execution, row.slot)
            if row.inline is None and row.digest is None:
                self.kept.pop(name, None)
            else:
                self.kept[name] = row

    async def flush(self) -> Mark | None:
        """Snapshots are taken whole here."""
        return None

    async def payload(self, execution: str, slot: str) -> PayloadRow | None:
        """The bytes or the digest in a slot."""
        return self.kept.get((execution, slot))

    async def payloads(self, names: Sequence[PayloadName]) -> Mapping[PayloadName, PayloadRow]:
        """Those that hold something."""
        return {name: self.kept[name] for name in names if name in self.kept}


class Replicated(StateCopy):
    """One life's copy; changed by `apply` and replaced by `load` only."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.rows = Rows()
        self._take(StateMachine())
        self.job = 0
        self.minted: dict[int, int] = {}

    def _take(self, machine: StateMachine) -> None:
        self._machine = machine
        self.last: EntryResult | None = None
        self.said: tuple[Said, ...] = ()
        # The store is a stranger to the type only: it is asked for `stage` here.
        self.replica = Replica(machine, self.rows, self._limits)
        self.replica.listen(self._keep_last)

    def _keep_last(self, result: EntryResult) -> None:
        self.last = result

    def apply(self, index: int, term: int, data: bytes) -> Outcome:
        """Apply one committed entry."""
        before = self.epoch
        _, self.said = self.replica.apply(index, term, data)
        if self.epoch == before:
            return NOTHING
        return Outcome(epoch=self.epoch, leader=self._machine.state.leader)

    def dump(self) -> bytes:
        """The state as bytes, for a snapshot."""
        machine = self._machine
        table = [(name, key, (value or b"").hex()) for name, key, value in machine.rows()]
        kept = [
            (*name, None if row.inline is None else row.inline.hex(), row.digest, row.size_bytes)
            for name, row in self.rows.kept.items()
        ]
        head = [machine.index, machine.term, self.chain.hex()]
        return json.dumps([*head, table, kept]).encode()

    def load(self, content: bytes) -> None:
        """Become the state that `dump` wrote."""
        index, term, chain, table, kept = json.loads(content)
        self.rows.kept = {
            (owner, slot): PayloadRow(
                owner, slot, None if inline is None else bytes.fromhex(inline), digest, size
            )
            for owner, slot, inline, digest, size in kept
        }
        self._take(
            StateMachine.restore(
                ((name, key, bytes.fromhex(value)) for name, key, value in table),
                index=index,
                term=term,
                rolling_hash=bytes.fromhex(chain),
            )
        )
