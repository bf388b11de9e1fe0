"""Majority rounds: who answered what, and since when."""

from molecule.raft.keepalive import Rounds


def a_leader(*others: str, now: float = 0.0) -> Rounds:
    rounds = Rounds(others)
    rounds.lead(now)
    return rounds


def test_a_round_is_a_majoritys_when_one_of_two_followers_answered() -> None:
    rounds = a_leader("b", "c")
    number = rounds.begin(1.0)
    assert rounds.majority_number() < number

    rounds.answered("c", number)

    assert rounds.majority_number() == number


def test_two_of_four_followers_are_needed_among_five() -> None:
    rounds = a_leader("b", "c", "d", "e")
    number = rounds.begin(1.0)
    rounds.answered("b", number)
    assert rounds.majority_number() < number

    rounds.answered("d", number)

    assert rounds.majority_number() == number


def test_a_leader_alone_is_its_own_majority() -> None:
    rounds = a_leader()

    number = rounds.begin(5.0)

    assert rounds.majority_number() == number
    assert rounds.majority_from(7.0) == 7.0


def test_an_answer_proves_the_moment_of_the_question_not_of_its_arrival() -> None:
    rounds = a_leader("b", "c", now=0.0)
    number = rounds.begin(1.0)
    rounds.begin(2.0)

    rounds.answered("b", number)

    assert rounds.majority_from(9.0) == 1.0


def test_an_answer_to_an_earlier_leadership_proves_nothing() -> None:
    rounds = a_leader("b", "c")
    old = rounds.begin(1.0)
    rounds.lead(5.0)

    rounds.answered("b", old)

    assert rounds.majority_from(9.0) == 5.0
    assert rounds.majority_number() <= old


def test_rounds_nobody_answers_are_forgotten() -> None:
    rounds = a_leader("b", "c")
    number = rounds.begin(1.0)
    rounds.forget_before(2.0)

    rounds.answered("b", number)

    assert rounds.majority_from(9.0) == 0.0
