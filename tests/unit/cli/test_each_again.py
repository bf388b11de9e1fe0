"""`molecule execution submit --each`, repeated: what was known already is told."""

from pathlib import Path

from tests.fakes.door import FakeDoor
from tests.unit.cli.conftest import Shell


def test_each_repeated_tells_how_many_were_known(shell: Shell, door: FakeDoor) -> None:
    Path("two.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    words = ("execution", "submit", "echo", "-f", "two.jsonl", "--each", "--key", "k")
    assert "known_already  0\n" in shell.run(*words).out
    assert "known_already  2\n" in shell.run(*words).out
    assert sorted(door.keys) == ["k/0", "k/1"]
