"""Each file of this folder is a story; its output must be what is written in it.

`MOLECULE_RECORD=1 pytest tests/scenarios` writes the outputs of now into the files: read the diff.
"""

import os
from pathlib import Path

import pytest

from molecule.cluster import tokens
from tests.scenarios.runner import run

FILES = sorted(Path(__file__).parent.glob("*.txt"))

TOKEN_CHECKS = (
    "may_checkpoint",
    "may_intend",
    "may_use_tables",
    "may_confirm",
    "may_end",
    "may_write",
    "may_charge",
    "may_fire",
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario_ends_as_written(file: Path) -> None:
    text = file.read_text()
    played = run(text)
    if os.environ.get("MOLECULE_RECORD"):
        file.write_text(played)
    assert played == file.read_text()


def test_scenarios_are_at_least_twelve() -> None:
    assert len(FILES) >= 12


@pytest.mark.parametrize("check", TOKEN_CHECKS)
def test_token_check_cannot_be_taken_away_unnoticed(
    check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, check, lambda *_: True)
    assert any(_differs(file) for file in FILES)


def test_token_checks_are_all_tried() -> None:
    checks = {name for name in vars(tokens) if name.startswith("may_")}
    assert checks == set(TOKEN_CHECKS)


def _differs(file: Path) -> bool:
    text = file.read_text()
    try:
        return run(text) != text
    except BaseException:  # noqa: BLE001  # a broken invariant stops a node: that is noticed too
        return True
