"""Histories of `molecule chaos` are read as they were written, or refused with their line."""

from pathlib import Path

import pytest

from molecule.chaos.history import FILE, BrokenHistory, History, line_of
from tests.unit.staging.histories import Story, good


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / FILE
    path.write_text(text, encoding="utf-8")
    return path


def whole() -> str:
    story = Story()
    story.records = good()
    return "".join(line_of(record) for record in story.close().records)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    history = History.read(written(tmp_path, whole()))

    assert history.closed is not None
    assert history.acknowledged["k1"] == {"e-k1"}


def test_a_line_that_was_cut_short_ends_the_history(tmp_path: Path) -> None:
    history = History.read(written(tmp_path, whole()[:-20]))

    assert history.closed is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: there is no header"),
        ("not JSON\n", "line 1: "),
        ("[]\n", "line 1: "),
        (whole().split("\n", 1)[0] + '\n{"kind": "strange", "at_us": 1, "wall_ms": 1}\n', "line 2"),
        (whole().split("\n", 1)[0] + "\n" + whole(), "line 2: another header"),
        (whole().replace('"operation":2,', '"operation":1,'), "operation 1 was sent before"),
    ],
)
def test_a_broken_history_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BrokenHistory) as refused:
        History.read(written(tmp_path, text))

    assert told in str(refused.value)
