"""`molecule up` refuses what cannot be a cluster before it makes any file."""

import pytest

from tests.unit.cli.conftest import Shell


@pytest.mark.parametrize(
    ("option", "number"),
    [
        *(("--nodes", number) for number in ("0", "2", "-3", "9")),
        ("--worker-nodes", "-1"),
        *(("--first-port", number) for number in ("0", "-1", "65531", "70000")),
    ],
)
def test_what_cannot_be_a_cluster_leaves_no_folder(shell: Shell, option: str, number: str) -> None:
    said = shell.run("up", "--folder", "new", option, number)
    assert said.code == 2
    assert said.talk.startswith(f"error: {option} {number} is not possible\n  next: ")
    assert not (shell.folder / "new").exists()


def test_folder_that_cannot_be_one_is_told_with_its_name(shell: Shell) -> None:
    (shell.folder / "file").touch()
    said = shell.run("up", "--folder", "file")
    assert said.code == 1
    assert f"  why:  {shell.folder / 'file'}: File exists\n" in said.talk
