"""A voter's data folder: identity, the way into a cluster, and one generation after the other.

After a crash the folder opens as the same voter, never further on its way than was begun and never
back behind what was told to be durable; journal and state belong to one generation.
"""

from pathlib import Path

from chaos.crashpoints.script import begin, demand, done
from molecule.raft.files import DiskFiles, replace_file, sync_folder
from molecule.raft.formation import FormationRecord
from molecule.raft.generation import DataFolder, open_data_folder
from molecule.raft.log import COMMAND
from molecule.raft.outbox import SnapshotMark
from molecule.raft.settings import Bounds

BOUNDS = Bounds(segment_bytes=1024, reserve_bytes=128)
VOTERS = ("n1", "n2", "n3")
BIRTH = "b0000001"
_BIRTHS = {"n1": BIRTH, "n2": "b0000002", "n3": "b0000003"}
_FORMATION = (FormationRecord({}, False), FormationRecord(_BIRTHS, False))
_FORMED = FormationRecord(_BIRTHS, True)
_FIRST_INSTALL = 4
STEPS = 8


class DataFolderScript:
    """See above."""

    def run(self, folder: Path) -> None:
        """Make the folder (1), promise (2), be formed (3), then install snapshots (4 and on)."""
        place = folder / "data"
        place.mkdir()
        sync_folder(folder)
        begin(1)
        data = _opened(place, BIRTH)
        _state_of(data).write_bytes(b"1")
        done(1)
        begin(2)
        data.save_formation(_FORMATION[1])
        done(2)
        begin(3)
        data.save_formation(_FORMED)
        done(3)
        for step in range(_FIRST_INSTALL, STEPS + 1):
            begin(step)
            data = _installed(data, place, step)
            done(step)

    def check(self, folder: Path, begun: int, done: int) -> None:
        """Open it, compare, install once more and open it again."""
        place = folder / "data"
        if not place.is_dir():
            return  # Whoever starts a node makes its folder first.
        data = _opened(place, "b9999999")
        demand(
            data.identity.birth == BIRTH or not done, f"it was born anew as {data.identity.birth}"
        )
        step = _step_of(data)
        demand(done <= step <= begun or not begun, f"it is at step {step}")
        journal, files = data.open_journal(BOUNDS)
        if step >= _FIRST_INSTALL:
            demand(_state_of(data).read_bytes() == _state(step), "journal and state do not match")
            demand(journal.head.index == step * 10, f"the journal begins at {journal.head.index}")
        files.close()
        # The newest promise holds for what is installed next, too.
        data = _installed(data, place, STEPS + 1)
        demand(_state_of(data).read_bytes() == _state(STEPS + 1), "a new snapshot is gone")
        data.close()


def _opened(place: Path, birth: str) -> DataFolder:
    return open_data_folder(
        place, cluster="c", node="n1", voters=VOTERS, new_birth=birth, bounds=BOUNDS
    )


def _state_of(data: DataFolder) -> Path:
    return data.generation.state


def _state(step: int) -> bytes:
    return b"state" * step


def _installed(data: DataFolder, place: Path, step: int) -> DataFolder:
    """What a node does with a snapshot: fill a generation, put it in use, open the folder anew."""
    journal, old_files = data.open_journal(BOUNDS)
    generation = data.begin_install()
    replace_file(generation.state, _state(step))
    files = DiskFiles(generation.journal)
    made = journal.install(files, SnapshotMark(step * 10, 1), bounds=BOUNDS)
    made.add((COMMAND + bytes([step]), step * 10 + 1, 1))
    write = made.take_write()
    assert write is not None
    write.run()
    data.put_in_use(generation)
    files.close()
    old_files.close()
    data.close()
    return _opened(place, "b9999999")


def _step_of(data: DataFolder) -> int:
    """How far it is: the generation in use counts from the first install on."""
    formation = data.identity.formation
    if data.generation.number > 1:
        return _FIRST_INSTALL + data.generation.number - 2
    if formation == _FORMED:
        return _FIRST_INSTALL - 1
    return 2 if formation == _FORMATION[1] else 1
