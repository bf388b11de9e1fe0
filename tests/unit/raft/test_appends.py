"""What of an append is news to a follower."""

import pickle

import pytest

from molecule.raft.appends import fit, is_well_formed
from molecule.raft.log import Log
from molecule.raft.outbox import SnapshotMark
from molecule.wire.v1.raft_pb2 import Append


def a_log(*terms: int, head: SnapshotMark | None = None) -> Log:
    """A log whose entries above the head have these terms."""
    log = Log(head or SnapshotMark(1, 0))
    for place, term in enumerate(terms, start=1):
        log.add((b"\0", log.head.index + place, term), place)
    return log


def an_append(previous: int, previous_term: int, *terms: int) -> Append:
    return Append(
        previous_index=previous,
        previous_term=previous_term,
        entry_terms=terms,
        entries=[b"\0"] * len(terms),
    )


@pytest.mark.parametrize(
    ("log", "append", "joined", "previous", "news"),
    [
        pytest.param(a_log(1, 1), an_append(3, 1, 1), True, 3, [4], id="behind the last entry"),
        pytest.param(a_log(1, 1), an_append(5, 1, 1), False, 5, [6], id="a gap"),
        pytest.param(a_log(1, 1), an_append(3, 2, 2), False, 3, [4], id="another term before"),
        pytest.param(a_log(1, 1), an_append(1, 0, 1, 1), True, 3, [], id="all held"),
        pytest.param(a_log(1, 1), an_append(1, 0, 1, 1, 1), True, 3, [4], id="half held"),
        pytest.param(a_log(1, 1, 1), an_append(1, 0, 1), True, 2, [], id="held, and more"),
        pytest.param(a_log(1, 1, 1), an_append(2, 1, 2), True, 2, [3], id="contradicted"),
        pytest.param(a_log(1, 1, 1), an_append(1, 0, 1, 2), True, 2, [3], id="contradicted later"),
        pytest.param(a_log(1), an_append(2, 1), True, 2, [], id="no entries"),
        pytest.param(
            a_log(4, head=SnapshotMark(9, 3)),
            an_append(6, 2, 2, 3, 3, 4, 4),
            True,
            10,
            [11],
            id="begins below the head",
        ),
        pytest.param(
            a_log(4, head=SnapshotMark(9, 3)),
            an_append(6, 2, 2),
            True,
            7,
            [],
            id="all below the head",
        ),
    ],
)
def test_only_news_is_left_of_an_append(
    log: Log, append: Append, joined: bool, previous: int, news: list[int]
) -> None:
    part = fit(log, append)

    assert (part.is_joined, part.previous_index) == (joined, previous)
    assert [index for _, index, _ in part.entries] == news


def test_commands_and_no_operations_are_well_formed() -> None:
    assert is_well_formed(Append(entry_terms=[1, 1], entries=[b"\0any", b"\1"]))


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(b"\2" + pickle.dumps(["add", "evil:1"]), id="membership"),
        pytest.param(b"\3" + pickle.dumps(9), id="version"),
        pytest.param(b"\1more", id="a no-operation that says something"),
        pytest.param(pickle.dumps(("x", 1, 1)), id="pickle"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_everything_else_is_refused(entry: bytes) -> None:
    assert not is_well_formed(Append(entry_terms=[1], entries=[entry]))


def test_entries_without_terms_are_refused() -> None:
    assert not is_well_formed(Append(entry_terms=[], entries=[b"\0"]))


def test_the_first_entry_of_a_contradicting_term_is_found() -> None:
    log = a_log(1, 2, 2, 2)

    assert log.first_of_term(5) == 3
    assert a_log(2, 2).first_of_term(3) == 2
