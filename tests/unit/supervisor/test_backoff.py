"""How long the supervisor waits before it starts a child again."""

from molecule.serve import Backoff


def test_pause_doubles_while_a_child_dies_young_and_is_bounded() -> None:
    backoff = Backoff()
    pauses = [backoff.after(0.5) for _ in range(8)]
    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert pauses[-2:] == [5.0, 5.0]


def test_long_life_makes_the_next_pause_short_again() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.after(0.5)
    assert backoff.after(60.0) == 0.1
