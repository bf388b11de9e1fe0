"""The simulated network behaves like TCP: in order, held while cut, lost when reset."""

import random

from tests.simulation.clock import EventQueue
from tests.simulation.network import Network, NetworkProfile

A, B = "n1", "n2"


class Ends:
    """Two processes that write down what they are told."""

    def __init__(self, *, profile: NetworkProfile | None = None) -> None:
        self.queue = EventQueue()
        self.told: list[tuple[str, object]] = []
        self.numbers: dict[str, int] = {}
        self.alive = {A: True, B: True}
        self.network = Network(
            self.queue, random.Random(1), (A, B), profile or NetworkProfile(), self
        )
        self.network.start(A)
        self.run_s(1.0)

    def run_s(self, seconds: float) -> None:
        end_s = self.queue.now_s + seconds
        while self.queue.run_next(end_s):
            pass

    def say(self, *words: object) -> None:
        for word in words:
            self.network.send(A, B, self.numbers[A], word, 100)

    def heard(self) -> list[object]:
        return [word for end, word in self.told if end == B]

    def link_up(self, member: str, peer: str, connection: int) -> None:
        assert connection > self.numbers.get(member, -1)
        self.numbers[member] = connection

    def link_down(self, member: str, peer: str, connection: int) -> None:
        self.told.append((member, "down"))

    def frame(self, member: str, peer: str, connection: int, frame: object) -> None:
        self.told.append((member, frame if connection == self.numbers[member] else f"old {frame}"))

    def is_alive(self, member: str) -> bool:
        return self.alive[member]

    def is_answering(self, member: str) -> bool:
        return self.alive[member]


def test_frames_arrive_in_the_order_in_which_they_were_sent() -> None:
    ends = Ends(profile=NetworkProfile(jitter_s=0.5))

    ends.say(*range(50))
    ends.run_s(5.0)

    assert ends.heard() == list(range(50))


def test_cut_holds_frames_and_delivers_them_afterwards() -> None:
    ends = Ends()
    ends.say(1)
    ends.network.block(A, B)
    ends.say(2)
    ends.run_s(1.0)
    held = ends.heard()

    ends.network.unblock(A, B)
    ends.say(3)
    ends.run_s(1.0)

    assert (held, ends.heard()) == ([], [1, 2, 3])


def test_cut_in_one_direction_lets_the_other_pass() -> None:
    ends = Ends()
    ends.network.block(A, B)

    ends.network.send(B, A, ends.numbers[B], "back", 10)
    ends.run_s(1.0)

    assert ends.told == [(A, "back")]


def test_overlapping_cuts_heal_one_by_one() -> None:
    ends = Ends()
    ends.network.block(A, B)
    ends.network.block(A, B)
    ends.say(1)

    ends.network.unblock(A, B)
    ends.run_s(1.0)
    after_one = ends.heard()
    ends.network.unblock(A, B)
    ends.run_s(1.0)

    assert (after_one, ends.heard()) == ([], [1])


def test_long_cut_ends_the_connection_at_both_ends() -> None:
    ends = Ends(profile=NetworkProfile(dead_after_s=1.0))
    ends.network.block(A, B)
    ends.say("lost")

    ends.run_s(2.0)
    ends.network.unblock(A, B)
    ends.run_s(1.0)

    assert sorted(ends.told) == [(A, "down"), (B, "down")]
    assert ends.network.is_linked(A, B)


def test_reset_loses_what_was_under_way_and_a_new_connection_follows() -> None:
    ends = Ends()
    before = dict(ends.numbers)
    ends.say("lost")

    ends.network.reset(A, B)
    ends.run_s(1.0)
    ends.say("kept")
    ends.run_s(1.0)

    assert ends.heard() == ["down", "kept"]
    assert all(ends.numbers[end] > before[end] for end in (A, B))


def test_abandoned_connection_still_delivers_under_its_old_number() -> None:
    ends = Ends()
    ends.network.slow(A, B, 0.4)
    ends.say("late")

    ends.network.abandon(A, B)
    ends.run_s(2.0)

    assert ends.heard() == ["old late", "down"]


def test_process_that_ends_is_noticed_after_what_it_had_said() -> None:
    ends = Ends()
    ends.say("last words")

    ends.alive[A] = False
    ends.network.stop(A)
    ends.run_s(1.0)

    assert ends.heard() == ["last words", "down"]


def test_machine_that_dies_is_noticed_late() -> None:
    ends = Ends(profile=NetworkProfile(dead_after_s=3.0))

    ends.alive[A] = False
    ends.network.stop(A, silently=True)
    ends.run_s(2.0)
    early = ends.heard()
    ends.run_s(2.0)

    assert (early, ends.heard()) == ([], ["down"])


def test_words_held_by_a_cut_outlive_their_process_and_not_their_machine() -> None:
    heard = []
    for is_silent in (False, True):
        ends = Ends()
        ends.network.block(A, B)
        ends.say("held")
        ends.alive[A] = False
        ends.network.stop(A, silently=is_silent)
        carried = ends.network.is_carrying(A, B)
        ends.network.unblock(A, B)
        ends.run_s(1.0)
        heard.append((carried, "held" in ends.heard(), ends.network.is_carrying(A, B)))

    assert heard == [(True, True, False), (False, False, False)]


def test_bandwidth_makes_large_frames_slow() -> None:
    ends = Ends(profile=NetworkProfile(bandwidth_bytes_s=1_000.0))

    ends.network.send(A, B, ends.numbers[A], "large", 2_000)
    ends.run_s(1.9)
    early = ends.heard()
    ends.run_s(0.2)

    assert (early, ends.heard()) == ([], ["large"])
