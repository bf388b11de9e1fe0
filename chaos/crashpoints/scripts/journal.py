"""The journal of a voter: entries, terms, votes, cuts, segments that begin and go.

Each step is one record; several steps share a write, as under load. After a crash the journal must
hold exactly what some number of first steps made of it, no fewer than were told to be durable.
"""

from dataclasses import dataclass, field
from pathlib import Path

from chaos.crashpoints.script import begin, demand, done
from molecule.raft.files import DiskFiles, sync_folder
from molecule.raft.journal import Journal
from molecule.raft.log import COMMAND
from molecule.raft.outbox import SnapshotMark
from molecule.raft.recovery import open_journal
from molecule.raft.settings import Bounds

BOUNDS = Bounds(segment_bytes=2048, reserve_bytes=256, entries_kept=4, bytes_kept=600)
STEPS = 60
_FOLDER = "journal"
_LONG = 200


@dataclass(slots=True)
class _Model:
    """What the steps so far come to."""

    term: int = 1
    vote: str | None = "n1"
    log: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    last: int = 1
    saved: int = 1
    """A snapshot up to here is durable elsewhere, so entries up to it may be gone."""


class JournalScript:
    """See above."""

    def run(self, folder: Path) -> None:
        """All steps in batches of one to four."""
        place = folder / _FOLDER
        place.mkdir()
        sync_folder(folder)
        files = DiskFiles(place)
        begin(1)
        journal = Journal.create(files, term=1, voted_for="n1", bounds=BOUNDS)
        done(1)
        step, saved = 1, 1
        while step < STEPS:
            batch = range(step + 1, min(step + 2 + step % 4, STEPS + 1))
            begin(batch[-1])
            for step in batch:
                _do(journal, step, saved)
            _write(journal)
            done(step)
            if step % 3 == 0:
                saved = journal.last_index
                journal.cut_below(SnapshotMark(saved, journal.last_term))
            allocation = journal.take_allocation()
            if allocation is not None:
                allocation.run()
                journal.allocated()

    def check(self, folder: Path, begun: int, done: int) -> None:
        """Recover, compare, write one more entry and recover again."""
        place = folder / _FOLDER
        if not done:
            return  # Nobody relies on a journal before it was made: see the data folder.
        journal = open_journal(DiskFiles(place), bounds=BOUNDS)
        found = next((step for step in range(done, begun + 1) if _is_at(journal, step)), None)
        demand(
            found is not None,
            f"term {journal.term}, vote {journal.voted_for} and entries up to {journal.last_index}"
            f" are not what steps {done} to {begun} made",
        )
        again = open_journal(DiskFiles(place), bounds=BOUNDS)
        demand(
            (again.term, again.voted_for, again.log.entries, again.is_doubtful)
            == (journal.term, journal.voted_for, journal.log.entries, journal.is_doubtful),
            "opened twice it is not the same",
        )
        _goes_on(again, place)


def _do(journal: Journal, step: int, saved: int) -> None:
    if step % 7 == 0:
        journal.set_term(journal.term + 1, None if step % 2 else "n2")
    elif step % 11 == 0 and journal.last_index > saved + 1:
        journal.cut_from(journal.last_index)
    else:
        _make_room(journal)
        journal.add((_command(step), journal.last_index + 1, journal.term))


def _make_room(journal: Journal) -> None:
    allocation = None if journal.has_room(_LONG, 1) else journal.take_allocation()
    if allocation is not None:
        allocation.run()
        journal.allocated()


def _command(step: int) -> bytes:
    return COMMAND + bytes([step]) * (step * 37 % _LONG)


def _write(journal: Journal) -> None:
    write = journal.take_write()
    assert write is not None
    write.run()
    journal.synced(write.position)


def _model(step: int) -> _Model:
    """What the first steps come to, by the same rules as `_do` but without a journal."""
    made = _Model()
    batch_end = 1
    for number in range(2, step + 1):
        if number > batch_end:
            batch_end = min(batch_end + 1 + batch_end % 4, STEPS)
        if number % 7 == 0:
            made.term, made.vote = made.term + 1, None if number % 2 else "n2"
        elif number % 11 == 0 and made.last > made.saved + 1:
            del made.log[made.last]
            made.last -= 1
        else:
            made.last += 1
            made.log[made.last] = (made.term, _command(number))
        if number == batch_end and number % 3 == 0:
            made.saved = made.last
    return made


def _is_at(journal: Journal, step: int) -> bool:
    made = _model(step)
    held = {index: (term, data) for data, index, term in journal.log.entries[1:]}
    wanted = {index: entry for index, entry in made.log.items() if index > journal.head.index}
    return (
        (journal.term, journal.voted_for, journal.last_index) == (made.term, made.vote, made.last)
        and held == wanted
        and journal.head.index <= made.saved
    )


def _goes_on(journal: Journal, place: Path) -> None:
    _make_room(journal)
    index = journal.last_index + 1
    journal.add((_command(1), index, journal.term))
    _write(journal)
    last = open_journal(DiskFiles(place), bounds=BOUNDS)
    demand(last.last_index == index, "an entry that was added after recovery is gone")
