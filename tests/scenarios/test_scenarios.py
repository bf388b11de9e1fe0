"""Each file of this folder is a story; its output must be what is written in it.

`MOLECULE_RECORD=1 pytest tests/scenarios` writes the outputs of now into the files: read the diff.
"""

import os
from pathlib import Path

import pytest

from molecule.cluster import tokens
from tests.scenarios.runner import run

FILES = sorted(Path(__file__).parent.glob("*.txt"))

TOKEN_CHECKS = {
    "may_checkpoint": "checkpoint_sequence",
    "may_intend": "late_intent_and_confirmation",
    "may_use_tables": "tables_and_claims",
    "may_confirm": "late_intent_and_confirmation",
    "may_end": "handed_back",
    "may_write": "node_cut_off",
    "may_charge": "worker_death_and_quarantine",
    "may_fire": "trigger_moves",
}
"""Each check of a token, and a story that ends otherwise without it."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario_ends_as_written(file: Path) -> None:
    text = file.read_text()
    played = run(text)
    if os.environ.get("MOLECULE_RECORD"):
        file.write_text(played)
    assert played == file.read_text()


def test_scenarios_are_at_least_twelve() -> None:
    assert len(FILES) >= 12


@pytest.mark.parametrize(("check", "story"), TOKEN_CHECKS.items())
def test_token_check_cannot_be_taken_away_unnoticed(
    check: str, story: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another output, not an exception: a story that merely breaks tells nobody what went wrong.
    text = (Path(__file__).parent / f"{story}.txt").read_text()
    monkeypatch.setattr(tokens, check, lambda *_: True)
    assert run(text) != text


def test_token_checks_are_all_tried() -> None:
    checks = {name for name in vars(tokens) if name.startswith("may_")}
    assert checks == set(TOKEN_CHECKS)
