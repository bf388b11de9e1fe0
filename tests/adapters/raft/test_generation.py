"""The data folder: first start, restart, and every reason to refuse."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from molecule.model.errors import DamagedData
from molecule.raft.files import DiskFiles
from molecule.raft.formation import FormationRecord
from molecule.raft.generation import DataFolder, open_data_folder
from molecule.raft.outbox import SnapshotMark
from molecule.raft.recovery import open_journal
from molecule.raft.settings import Bounds

BOUNDS = Bounds(segment_bytes=64 * 1024)
VOTERS = ("a", "b", "c")


def opened(
    path: Path,
    *,
    cluster: str = "test",
    node: str = "a",
    voters: tuple[str, ...] = VOTERS,
    birth: str = "b1",
) -> DataFolder:
    return open_data_folder(
        path, cluster=cluster, node=node, voters=voters, new_birth=birth, bounds=BOUNDS
    )


def closed(path: Path) -> Path:
    opened(path).close()
    return path


def formed(path: Path) -> Path:
    folder = opened(path)
    folder.save_formation(FormationRecord({name: f"{name}1" for name in VOTERS}, is_formed=True))
    folder.close()
    return path


def test_an_empty_folder_is_prepared(tmp_path: Path) -> None:
    folder = opened(tmp_path / "new" / "data")

    assert folder.generation.number == 1
    assert folder.identity.birth == "b1"
    assert folder.open_journal(BOUNDS)[0].last_index == 1
    folder.close()


def test_a_restart_finds_what_was_there(tmp_path: Path) -> None:
    formed(tmp_path)

    folder = opened(tmp_path, birth="b2")

    assert folder.identity.birth == "b1"
    assert folder.identity.formation.is_formed
    folder.close()


def test_a_start_that_was_broken_off_is_finished(tmp_path: Path) -> None:
    closed(tmp_path)
    (tmp_path / "CURRENT").unlink()
    for segment in (tmp_path / "generations/1/journal").iterdir():
        segment.unlink()

    folder = opened(tmp_path)

    assert folder.open_journal(BOUNDS)[0].last_index == 1
    folder.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cluster": "other"}, "belongs to cluster 'test', but this node is configured as cluster"),
        ({"node": "b"}, "belongs to node 'a', but this node is configured as node 'b'"),
        ({"voters": ("a", "b", "d")}, "belongs to voters a, b, c, but"),
    ],
)
def test_a_folder_of_somebody_else_is_refused(
    tmp_path: Path, settings: dict[str, str], message: str
) -> None:
    closed(tmp_path)

    with pytest.raises(DamagedData, match=message):
        opened(tmp_path, **settings)  # type: ignore[arg-type]  # one of three


def test_the_order_of_voters_does_not_matter(tmp_path: Path) -> None:
    closed(tmp_path)

    opened(tmp_path, voters=("c", "a", "b")).close()


def test_a_newer_folder_is_refused_with_both_versions(tmp_path: Path) -> None:
    closed(tmp_path)
    identity = json.loads((tmp_path / "identity.json").read_text())
    (tmp_path / "identity.json").write_text(json.dumps(identity | {"format": 9}))

    with pytest.raises(DamagedData, match="format 9, this version reads up to 1"):
        opened(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"format": "x"}'])
def test_a_damaged_identity_is_refused(tmp_path: Path, content: str) -> None:
    closed(tmp_path)
    (tmp_path / "identity.json").write_text(content)

    with pytest.raises(DamagedData, match=r"identity.json"):
        opened(tmp_path)


def test_a_folder_with_strange_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()

    with pytest.raises(DamagedData, match=r"holds photos\. It is not started empty"):
        opened(tmp_path)


def test_a_folder_that_lost_its_identity_is_refused(tmp_path: Path) -> None:
    formed(tmp_path)
    (tmp_path / "identity.json").unlink()

    with pytest.raises(DamagedData, match=r"Put identity.json back"):
        opened(tmp_path)


def test_a_formed_folder_that_lost_its_journal_is_refused(tmp_path: Path) -> None:
    formed(tmp_path)
    (tmp_path / "CURRENT").unlink()

    with pytest.raises(DamagedData, match="its journal is lost"):
        opened(tmp_path)


def test_a_current_that_names_nothing_is_refused(tmp_path: Path) -> None:
    formed(tmp_path)
    (tmp_path / "CURRENT").write_text("7\n")

    with pytest.raises(DamagedData, match="names generation 7"):
        opened(tmp_path)


@pytest.mark.parametrize("content", ["x", "", "\N{SUPERSCRIPT TWO}"])
def test_a_damaged_current_is_refused(tmp_path: Path, content: str) -> None:
    formed(tmp_path)
    (tmp_path / "CURRENT").write_text(content)

    with pytest.raises(DamagedData, match="CURRENT is damaged"):
        opened(tmp_path)


@pytest.mark.parametrize("name", ["CURRENT", "identity.json"])
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str) -> None:
    formed(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()

    with pytest.raises(DamagedData, match=f"{name} cannot be used: Is a directory"):
        opened(tmp_path)


def test_a_segment_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    formed(tmp_path)
    folder = opened(tmp_path)
    segment = min(folder.generation.journal.iterdir())
    segment.unlink()
    segment.mkdir()

    with pytest.raises(DamagedData, match=f"{segment.name} cannot be used"):
        folder.open_journal(Bounds())
    folder.close()


def test_a_folder_in_use_is_refused_with_the_process(tmp_path: Path) -> None:
    script = (
        "import fcntl, os, sys\n"
        "handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(handle, fcntl.LOCK_EX)\n"
        "os.write(handle, b'%d\\n' % os.getpid())\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    closed(tmp_path)
    (tmp_path / "lock").unlink()
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()

        with pytest.raises(DamagedData, match=f"process id {holder.pid}"):
            opened(tmp_path)
        holder.communicate("")


def test_a_refused_folder_is_not_left_locked(tmp_path: Path) -> None:
    closed(tmp_path)
    with pytest.raises(DamagedData):
        opened(tmp_path, node="b")

    opened(tmp_path).close()


def test_a_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("molecule.raft.generation.os.open", refuse)

    with pytest.raises(DamagedData, match="Read-only file system"):
        opened(tmp_path)


def test_a_generation_is_in_use_only_after_the_switch(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    journal, files = folder.open_journal(BOUNDS)
    new = folder.begin_install()
    new.state.write_bytes(b"state")
    new_files = DiskFiles(new.journal)
    journal.install(new_files, SnapshotMark(40, 3))
    new_files.close()
    files.close()
    folder.close()
    before = opened(tmp_path)
    assert before.generation.number == 1
    assert not new.folder.exists()

    new = before.begin_install()
    new_files = DiskFiles(new.journal)
    before.open_journal(BOUNDS)[0].install(new_files, SnapshotMark(40, 3))
    before.put_in_use(new)
    before.close()

    after = opened(tmp_path)
    assert after.generation.number == 2
    assert open_journal(DiskFiles(after.generation.journal), bounds=BOUNDS).head.index == 40
    assert [path.name for path in (tmp_path / "generations").iterdir()] == ["2"]
    after.close()
