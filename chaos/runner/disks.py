"""What the disks of stopped nodes tell: the votes in their journals, and their state at one index.

Every node's copy is brought by the product's own state machine, from its own snapshot and its own
journal, to the newest index that any of them had saved: what was saved was committed.
"""

from collections.abc import Iterator
from pathlib import Path

from chaos import records as r
from chaos.runner.recording import Recording
from chaos.runner.site import Site
from molecule.cli import serve
from molecule.cluster.apply import StateMachine
from molecule.node.opening import Opened, open_data
from molecule.raft import records
from molecule.raft.log import COMMAND
from molecule.raft.records import Kind
from molecule.raft.settings import Bounds


async def read(site: Site, recording: Recording) -> None:
    """Votes and states of all nodes; none of them runs any more."""
    configs = {node: serve.read(site.local.node(node).config, {}) for node in site.nodes}
    for node, config in configs.items():
        for term, candidate in _votes(Path(config.data)):
            recording.add(r.Voted, node=node, term=term, candidate=candidate)
    opened: dict[str, Opened] = {}
    try:
        for node, config in configs.items():
            opened[node] = await open_data(config)
        newest = max(one.machine.index for one in opened.values())
        for node, one in opened.items():
            digest = _digest_at(one, newest)
            if digest is not None:
                recording.add(r.Applied, node=node, index=newest, digest=digest)
    finally:
        for one in opened.values():
            await one.close()


def _digest_at(opened: Opened, index: int) -> str | None:
    """The rolling hash behind an entry; None when this disk does not hold the log up to there."""
    machine: StateMachine = opened.machine
    journal, files = opened.folder.open_journal(Bounds())
    files.close()
    if journal.last_index < index:
        return None
    first = journal.head.index
    for command, place, term in journal.log.entries[machine.index + 1 - first : index + 1 - first]:
        machine.apply_entry(place, term, command[1:] if command[:1] == COMMAND else b"")
    return machine.rolling_hash.hex()


def _votes(data: Path) -> Iterator[tuple[int, str]]:
    """Every vote that is still in a journal, in its order."""
    current = (data / "CURRENT").read_text(encoding="ascii").strip()
    for path in sorted((data / "generations" / current / "journal").glob("*.segment")):
        content = path.read_bytes()
        header = records.decode_header(content)
        if header is None:
            continue
        if header.voted_for is not None:
            yield header.term, header.voted_for
        for record in records.records_from(content, header.base_position):
            if record.kind is Kind.TERM:
                term, candidate = records.decode_term(record.payload)
                if candidate is not None:
                    yield term, candidate
