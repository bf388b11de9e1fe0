"""The file that says what is broken on purpose, and who may heal it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from molecule.chaos import healing
from molecule.chaos.healing import Busy, Sheet, Unhealed
from molecule.cli import local_process

FAULT = Unhealed(1, "kill", ("n1",), "hook", ("kubectl", "{node}"), 5.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return healing.place(str(tmp_path / "context.json"))


def of_a_dead_run(path: Path) -> None:
    """As if whoever wrote it had been killed."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    told = json.loads(path.read_text())
    told["run"] = {"pid": ended.pid, "started_ticks": 1}
    path.write_text(json.dumps(told))


def test_it_lies_beside_the_context_and_is_ours_alone(path: Path) -> None:
    assert path.name == "context.json.chaos-unhealed"
    with Sheet(path):
        assert path.stat().st_mode & 0o777 == 0o600


def test_what_was_healed_leaves_no_file(path: Path) -> None:
    with Sheet(path) as sheet:
        sheet.begin(FAULT)
        sheet.healed(1)

    assert healing.left(path) is None


def test_what_was_not_healed_is_left_with_all_that_healing_takes(path: Path) -> None:
    with Sheet(path) as sheet:
        sheet.begin(FAULT)
    of_a_dead_run(path)

    assert healing.left(path) == (FAULT,)


def test_a_run_that_goes_on_is_left_alone(path: Path) -> None:
    with Sheet(path) as sheet:
        sheet.begin(FAULT)

        with pytest.raises(Busy, match=f"process {os.getpid()} breaks this cluster"):
            healing.left(path)
        with pytest.raises(Busy, match="another run began"), Sheet(path):
            pass


@pytest.mark.parametrize("text", ["{", "[]", '{"run": {}}', '{"run": 5, "faults": []}', "null"])
def test_a_damaged_file_is_told(path: Path, text: str) -> None:
    path.write_text(text)

    with pytest.raises(Busy, match="is damaged"):
        healing.left(path)


def test_a_file_without_anything_was_written_before_any_fault(path: Path) -> None:
    path.touch()

    assert healing.left(path) == ()


def test_a_process_knows_itself() -> None:
    mark = local_process.own()

    assert mark.pid == os.getpid()
    assert local_process.is_running(mark)
