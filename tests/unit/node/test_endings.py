"""How a node process ends when its life breaks off: what a restart may mend is started again."""

import pytest

from molecule.model.errors import DamagedData, DiskFailed, InvalidConfig
from molecule.node import endings


def group(*errors: Exception) -> BaseExceptionGroup[BaseException]:
    """As task groups wrap what ended them, one in the other."""
    return BaseExceptionGroup("outer", [BaseExceptionGroup("inner", list(errors))])


def test_a_disk_that_fails_while_the_node_runs_is_looked_at_by_the_next_life() -> None:
    # Found by runs with faults: one sync that failed stopped the node until a person came.
    assert not endings.is_for_a_person("n1", group(DiskFailed("could not be synced")))


def test_what_is_wrong_at_every_start_is_said_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    errors = InvalidConfig("the certificate is of another node"), DamagedData("a flipped byte")
    assert endings.is_for_a_person("n1", group(*errors))

    told = capsys.readouterr().err
    assert told == (
        "molecule: node n1 cannot run: the certificate is of another node\n"
        "molecule: node n1 cannot run: a flipped byte\n"
    )


def test_anything_else_is_started_again() -> None:
    assert not endings.is_for_a_person("n1", group(InvalidConfig("a"), ValueError("b")))
    assert not endings.is_for_a_person("n1", group(DamagedData("a"), DiskFailed("b")))
