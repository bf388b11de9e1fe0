"""The journal's folder on a real disk."""

from pathlib import Path

import pytest

from molecule.raft.files import DiskFiles, replace_file


def test_an_allocated_file_is_all_zeros_and_can_be_overwritten(tmp_path: Path) -> None:
    files = DiskFiles(tmp_path)
    files.allocate("one", 3_000_000)
    files.write("one", 1000, b"x" * 50)
    files.sync("one")

    content = files.read("one")

    assert len(content) == 3_000_000
    assert content[1000:1050] == b"x" * 50
    assert content.count(0) == 3_000_000 - 50
    files.close()


def test_a_failed_allocation_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = DiskFiles(tmp_path)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("molecule.raft.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.allocate("one", 4096)

    assert files.names() == []


def test_an_unfinished_allocation_is_cleared_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "0000000002.segment.new").write_bytes(b"half")

    assert DiskFiles(tmp_path).names() == []


def test_a_removed_file_is_gone_and_removing_it_again_is_no_error(tmp_path: Path) -> None:
    files = DiskFiles(tmp_path)
    files.allocate("one", 4096)
    files.write("one", 0, b"x")
    files.remove("one")
    files.remove("one")

    assert files.names() == []


def test_a_replaced_file_holds_all_of_the_new_content(tmp_path: Path) -> None:
    path = tmp_path / "CURRENT"
    replace_file(path, b"1\n")
    replace_file(path, b"22\n")

    assert path.read_bytes() == b"22\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["CURRENT"]
