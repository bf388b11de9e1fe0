"""How values and advice are printed: instants as instants, commands that can be typed."""

from pathlib import Path

import pytest

from molecule.cli import output
from molecule.cli.failures import ExitCode, Failure, from_problem
from molecule.cli.joining import JoinToken, obtain
from molecule.cli.local_files import NodePlace
from tests.fakes.door import FakeDoor
from tests.unit.cli.conftest import Shell

AT_MS = 1795657081137
TOKEN = JoinToken("local", "0" * 64, "secret")


@pytest.mark.parametrize(
    "name",
    [
        *("at_ms", "accepted_at_ms", "until_ms", "held_until_ms", "drain_until_ms"),
        *("answer_not_before_ms", "sent_after_ms", "open_until_ms"),
    ],
)
def test_instant_is_printed_as_one_and_zero_is_never(name: str) -> None:
    assert output.cell(name, AT_MS) == "2026-11-26 01:38:01.137Z"
    assert output.cell(name, 0) == "-"


@pytest.mark.parametrize("name", ["timeout_ms", "waited_ms", "repeat_ms", "within_ms"])
def test_length_of_time_stays_a_number(name: str) -> None:
    assert output.cell(name, AT_MS) == str(AT_MS)
    assert output.cell(name, 0) == "0"


def test_column_of_instants_has_no_unit_in_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    output.table([{"id": "1", "at_ms": AT_MS}], ("id", "at_ms"))
    heading, _, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["id", "at"]
    assert row.split() == ["1", "2026-11-26", "01:38:01.137Z"]


@pytest.mark.parametrize(
    ("code", "path", "then"),
    [
        ("not_found", "executions", "look up what there is with: molecule process list"),
        ("not_found", "executions/e1/signals/go", "molecule execution list"),
        ("not_found", "nodes/n9/drain", "molecule node list"),
        ("not_found", "cluster/transfer", "molecule node list"),
        ("not_found", "cluster/postmortems/zz", "molecule cluster postmortem"),
        ("not_found", "connections/dev/x", "molecule connection list"),
        ("wrong_state", "executions/e1/release", "look at it with: molecule execution show e1"),
        ("wrong_state", "cluster/leave/n3", "look at it with: molecule node show n3"),
        ("forbidden", "cluster/join", "make one for this node with: molecule cluster token"),
        ("unauthenticated", "cluster/join", "molecule cluster token"),
        ("unauthenticated", "nodes", "check the token file that here names"),
    ],
)
def test_advice_names_a_command_for_what_was_asked(code: str, path: str, then: str) -> None:
    problem = {"code": code, "title": code, "detail": "so it is", "definite": True}
    failure = from_problem("act", problem, context="here", path=f"/api/v1/{path}")
    assert failure.then.endswith(then)


@pytest.mark.parametrize(
    "command",
    [
        ["execution", "submit", "echo", "--key", ""],
        ["execution", "signal", "e1", "go", "--key", ""],
        ["execution", "retry", "e1", "--key", ""],
    ],
    ids=lambda command: command[1],
)
def test_empty_key_is_refused_because_it_would_be_no_key(
    shell: Shell, door: FakeDoor, command: list[str]
) -> None:
    said = shell.run(*command)
    assert said.code == ExitCode.WRONG_USAGE
    assert "--key is empty" in said.talk
    assert not door.calls


@pytest.mark.parametrize("name", ["bad id", "../n4", "N4", "-n4", "n" * 64, "n4\n"])
def test_newcomer_with_a_name_that_cannot_be_is_refused_before_anything_is_asked(
    tmp_path: Path, name: str
) -> None:
    place = NodePlace(name, tmp_path / "x", http="127.0.0.1:1", rpc="127.0.0.1:2")
    with pytest.raises(Failure, match="cannot be the name of a node") as refused:
        obtain("https://127.0.0.1:1", TOKEN, node=place, folder=tmp_path)
    assert refused.value.code == ExitCode.WRONG_USAGE
    assert list(tmp_path.iterdir()) == []
