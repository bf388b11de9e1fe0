"""Tests that share servers stay in one process of a run, seen on a run of pytest itself."""

import subprocess
import sys
from pathlib import Path

from tests.tidy.source import ROOT
from tests.together import group_of

_WHERE_IT_RAN = """
import os
import pathlib
import pytest

@pytest.mark.parametrize("number", range(6))
def test_where(number):
    path = pathlib.Path(os.environ["SEEN"]) / f"{__name__}.{number}"
    path.write_text(os.environ["PYTEST_XDIST_WORKER"])
"""
_FILES = ("tests/cluster/test_a.py", "tests/cluster/test_b.py")


def test_a_file_of_cluster_tests_stays_in_one_process(tmp_path: Path) -> None:
    for name in _FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(_WHERE_IT_RAN, encoding="utf-8")
    (tmp_path / "pytest.ini").touch()
    seen = tmp_path / "seen"
    seen.mkdir()
    plugins = ("-p", "xdist", "-p", "tests.together", "-p", "no:cacheprovider")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "-n", "2", "--dist", "loadgroup", "tests"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "SEEN": str(seen), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    where: dict[str, set[str]] = {}
    for path in seen.iterdir():
        where.setdefault(path.name.split(".")[0], set()).add(path.read_text(encoding="utf-8"))
    assert [len(where[name]) for name in ("test_a", "test_b")] == [1, 1]
    assert where["test_a"] != where["test_b"]


def test_what_starts_no_server_is_handed_out_test_by_test() -> None:
    assert group_of("tests/unit/test_c.py::test_it[1]") == "tests/unit/test_c.py::test_it[1]"
