"""Ways in which the disk of a stopped node is damaged, and what stood there before.

Each takes a data folder that nobody uses and changes one file. What must stay true: a wound is one
that the product says it notices, so a node that starts with it and shows nothing is a finding.
"""

import random
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from molecule.raft import records
from molecule.raft.records import HEADER_BYTES, RECORD_BYTES, Kind, Record

_SHARES: Final = (0.1, 0.5, 0.9)
"""How much of a file is left that is cut short."""
_TELLING_BYTES: Final = 24
"""Values at least so long are not found elsewhere by chance."""


class NothingToDamage(Exception):
    """What the wound is for is not on the disk yet."""


@dataclass(frozen=True, slots=True)
class Place:
    """Records of one segment: where they stand in its file."""

    path: Path
    base_position: int
    records: tuple[Record, ...]

    def offset(self, record: Record) -> int:
        """Where a record begins in the file."""
        return record.position - self.base_position


def generation(data: Path) -> Path:
    """The generation in use."""
    try:
        current = (data / "CURRENT").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise NothingToDamage("there is no generation yet") from None
    return data / "generations" / current


def segments(data: Path) -> list[Place]:
    """The segments of the journal that hold records, in their order."""
    found = []
    for path in sorted((generation(data) / "journal").glob("*.segment")):
        content = path.read_bytes()
        header = records.decode_header(content)
        if header is not None:
            held = tuple(records.records_from(content, header.base_position))
            found.append(Place(path, header.base_position, held))
    return found


def doubts(data: Path) -> int:
    """Behind the newest record of the journal that says that its end was lost; 0: none says so."""
    every = [record for place in segments(data) for record in place.records]
    return max((record.end for record in every if record.kind is Kind.DOUBT), default=0)


def torn_tail(rng: random.Random, data: Path) -> str:
    """The last write was under way: the second half of its last record did not arrive."""
    place = _last(data)
    last = place.records[-1]
    half = (last.end - last.position) // 2
    kept = rng.randint(RECORD_BYTES // 2, max(half, RECORD_BYTES // 2))
    _overwrite(place.path, place.offset(last) + kept, bytes(last.end - last.position - kept))
    return f"{place.path.name}: its last record ends after {kept} bytes"


def flipped_in_journal(rng: random.Random, data: Path) -> str:
    """One bit of a record that was durable: a whole mark stands behind it."""
    places = segments(data)
    marks = [record.position for each in places for record in each.records if _is_mark(record)]
    durable = [
        (place, record)
        for place in places
        for record in place.records
        if record.payload and record.end <= max(marks, default=0)
    ]
    if not durable:
        raise NothingToDamage("no record of the journal has a mark behind it")
    place, record = rng.choice(durable)
    offset = place.offset(record) + RECORD_BYTES + rng.randrange(len(record.payload))
    before = place.path.read_bytes()[offset]
    _overwrite(place.path, offset, bytes([before ^ 1 << rng.randrange(8)]))
    return f"{place.path.name}: one bit at offset {offset}"


def journal_is_gone(_rng: random.Random, data: Path) -> str:
    """The folder of the journal."""
    shutil.rmtree(generation(data) / "journal")
    return "journal"


def current_is_gone(_rng: random.Random, data: Path) -> str:
    """The file that names the generation in use."""
    (data / "CURRENT").unlink()
    return "CURRENT"


def identity_is_gone(_rng: random.Random, data: Path) -> str:
    """The file that says whose folder it is."""
    (data / "identity.json").unlink()
    return "identity.json"


def snapshot_cut_short(rng: random.Random, data: Path) -> str:
    """The database of the state, with all that was in its log, ends early."""
    state = _whole_state(data)
    size = int(state.stat().st_size * rng.choice(_SHARES))
    with state.open("r+b") as file:
        file.truncate(size)
    return f"{state.name}: {size} bytes are left"


def flipped_in_snapshot(rng: random.Random, data: Path) -> str:
    """One bit of one row of the state; its page stays sound."""
    state = _whole_state(data)
    with closing(sqlite3.connect(state)) as database:
        rows = database.execute("SELECT table_name, value FROM snapshot").fetchall()
    content = state.read_bytes()
    # Large values lie in several pages, and of some there are copies in pages that are free.
    found = [
        (table, value)
        for table, value in rows
        if len(value) >= _TELLING_BYTES and content.count(value) == 1
    ]
    if not found:
        raise NothingToDamage("the state has no row yet that can be found in its file")
    table, value = rng.choice(found)
    offset = content.index(value) + rng.randrange(len(value))
    _overwrite(state, offset, bytes([content[offset] ^ 1 << rng.randrange(8)]))
    return f"{state.name}: one bit of a row of {table} at offset {offset}"


Wound = Callable[[random.Random, Path], str]

MENDED: Final[Mapping[str, Wound]] = {"torn tail": torn_tail}
"""The node cuts it, says so in its journal, and asks the others for what it lost."""

REFUSED: Final[Mapping[str, Wound]] = {
    "flipped bit in the journal": flipped_in_journal,
    "lost journal": journal_is_gone,
    "lost CURRENT": current_is_gone,
    "lost identity": identity_is_gone,
    "snapshot cut short": snapshot_cut_short,
    "flipped bit in the snapshot": flipped_in_snapshot,
}
"""The node does not start, and says why."""


def _is_mark(record: Record) -> bool:
    return record.kind is Kind.MARK


def _last(data: Path) -> Place:
    held = [place for place in segments(data) if place.records]
    if not held:
        raise NothingToDamage("the journal holds no record")
    return held[-1]


def _whole_state(data: Path) -> Path:
    """The database with everything that its log holds: what is damaged then is what is read."""
    state = generation(data) / "state.db"
    if not state.exists():
        raise NothingToDamage("there is no state yet")
    with closing(sqlite3.connect(state)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return state


def _overwrite(path: Path, offset: int, content: bytes) -> None:
    assert offset >= HEADER_BYTES or path.suffix != ".segment"
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)
