"""The kernel's memory limit for a worker, where this machine allows one; and nothing where not."""

import subprocess
import sys
from pathlib import Path

import pytest

from molecule.memory_group import MemoryGroup

EATER = "import sys; sys.stdin.readline(); x = bytearray(400 * 1024 * 1024); print(len(x))"


def test_where_there_are_no_groups_everything_works_without(tmp_path: Path) -> None:
    assert MemoryGroup.make("w1", bytes_max=1, mount=tmp_path / "nowhere") is None


def test_a_plain_folder_is_no_limit_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    assert MemoryGroup.make("w1", bytes_max=1, mount=tmp_path) is None
    assert list(tmp_path.rglob("molecule-*")) == []


def test_a_process_over_its_limit_is_ended_by_the_kernel_and_that_is_known() -> None:
    group = MemoryGroup.make("test", bytes_max=100 * 1024 * 1024)
    if group is None:
        pytest.skip("this machine lets us make no control groups")
    try:
        with subprocess.Popen([sys.executable, "-c", EATER], stdin=subprocess.PIPE) as process:
            group.add(process.pid)
            assert not group.out_of_memory()
            process.communicate(b"go\n", timeout=60)
        assert process.returncode == -9
        assert group.out_of_memory()
    finally:
        group.remove()
