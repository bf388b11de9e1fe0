"""Votes: each voter once, and those of a node that lost its tail only if all agree."""

from molecule.raft.elections import Ballot


def a_ballot(voters: str = "abc", *, in_doubt: bool = False) -> Ballot:
    return Ballot("a", tuple(voters), 1, in_doubt)


def test_a_majority_of_firm_grants_wins() -> None:
    ballot = a_ballot()

    assert ballot.grant("b", only_if_unanimous=False) == ["b"]
    assert ballot.is_won


def test_a_repeated_grant_counts_once() -> None:
    ballot = a_ballot("abcde")
    ballot.grant("b", only_if_unanimous=False)

    assert ballot.grant("b", only_if_unanimous=False) == []
    assert not ballot.is_won


def test_a_voter_in_doubt_does_not_make_a_majority() -> None:
    ballot = a_ballot()

    assert ballot.grant("b", only_if_unanimous=True) == []
    assert not ballot.is_won


def test_a_voter_in_doubt_counts_when_all_grant() -> None:
    ballot = a_ballot()
    ballot.grant("b", only_if_unanimous=True)

    assert ballot.grant("c", only_if_unanimous=False) == ["b", "c"]
    assert ballot.is_won


def test_a_candidate_in_doubt_needs_every_voter() -> None:
    ballot = a_ballot(in_doubt=True)

    assert ballot.grant("b", only_if_unanimous=False) == []
    assert not ballot.is_won
    assert ballot.grant("c", only_if_unanimous=True) == ["b", "c"]
    assert ballot.is_won
