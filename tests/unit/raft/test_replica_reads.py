"""Barriers: a read is fresh only after a majority round of its own."""

import pytest

from molecule.model.errors import NoLeader
from molecule.raft.outbox import BarrierAnswer
from tests.unit.raft.voters import STEP, Voters


def test_a_barrier_is_answered_with_an_index_that_holds_every_commit_before_it() -> None:
    voters = Voters()
    leader = voters.leader()
    settled = voters.commit(b"x", at=leader)

    voters[leader].replica.barrier(5, voters.now)
    voters.run(0.02)

    answer = voters[leader].barriers[-1]
    assert answer.ticket == 5
    assert answer.index is not None
    assert settled.index is not None
    assert answer.index >= settled.index


def test_a_barrier_does_not_wait_for_the_next_keep_alive() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.501)
    voters[leader].replica.barrier(5, voters.now)

    voters.run(0.004)

    assert [answer.ticket for answer in voters[leader].barriers] == [5]


def test_a_barrier_that_can_wait_takes_the_round_that_is_due_next() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.501)
    before = len(voters[leader].sent)
    voters[leader].replica.barrier(5, voters.now, at_once=False)
    voters.run(0.2)

    rounds = [frame.keep_alive.round for _, frame in voters[leader].sent[before:]]
    assert [answer.ticket for answer in voters[leader].barriers] == [5]
    assert voters[leader].barriers[0].index == voters[leader].replica.commit_index
    assert len(set(rounds) - {0}) == 2, "those that were due anyway"


def test_a_barrier_that_can_wait_is_not_answered_by_the_round_before_it() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.5)
    before = len(voters[leader].sent)
    while not any(frame.keep_alive.round for _, frame in voters[leader].sent[before:]):
        voters.step()
    # The answers to that round are under way; from now on nobody hears the leader any more.
    voters[leader].replica.barrier(5, voters.now, at_once=False)
    for name in voters.names:
        voters[name].is_deaf = name != leader
    voters.run(0.4)

    assert voters[leader].barriers == []


def test_a_barrier_in_a_hurry_takes_those_that_can_wait_along() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.501)
    voters[leader].replica.barrier(5, voters.now, at_once=False)
    voters[leader].replica.barrier(6, voters.now)
    voters.run(0.004)

    assert [answer.ticket for answer in voters[leader].barriers] == [5, 6]


@pytest.mark.parametrize("is_asked", [False, True])
def test_an_answer_to_a_keep_alive_needs_a_round_for_a_barrier_only(*, is_asked: bool) -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.501)
    replica = voters[leader].replica
    if is_asked:
        replica.barrier(5, voters.now)
    needed: list[bool] = []
    while not needed:
        # What arrives is given to it here, to see what it says.
        arrived = list(voters[leader].frames)
        voters[leader].frames.clear()
        needed = [replica.receive(*frame, voters.now + STEP) for frame in arrived]
        voters.step()

    assert set(needed) == {is_asked}


def test_many_barriers_share_a_round() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.5)
    voters[leader].sent.clear()
    for ticket in range(100):
        voters[leader].replica.barrier(ticket, voters.now)
    voters.run(0.01)

    assert len(voters[leader].barriers) == 100
    assert len([frame for _, frame in voters[leader].sent if frame.HasField("keep_alive")]) <= 4


def test_a_leader_that_was_cut_off_answers_no_barrier() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.5)
    voters.cut(leader)
    voters[leader].replica.barrier(5, voters.now)
    voters.run(0.3)
    assert voters[leader].barriers == []

    voters.run(0.7)

    assert voters[leader].barriers == [BarrierAnswer(5, None)]


def test_a_round_that_began_before_a_barrier_does_not_answer_it() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.5)
    before = len(voters[leader].sent)
    while not any(frame.keep_alive.round for _, frame in voters[leader].sent[before:]):
        voters.step()
    # The answers to that round are under way; from now on nobody hears the leader any more.
    voters[leader].replica.barrier(5, voters.now)
    for name in voters.names:
        voters[name].is_deaf = name != leader
    voters.run(0.2)

    assert voters[leader].barriers == []


def test_a_follower_refuses_a_barrier() -> None:
    voters = Voters()
    leader = voters.leader()
    follower = next(name for name in "abc" if name != leader)

    with pytest.raises(NoLeader):
        voters[follower].replica.barrier(1, voters.now)


def test_a_single_voter_answers_at_once() -> None:
    voters = Voters("a")
    voters[voters.leader()].replica.barrier(1, voters.now)
    voters.step()

    assert voters["a"].barriers[0].index is not None


def age(voters: Voters, name: str) -> float:
    voter = voters[name]
    told = voter.replica.age(voters.now, voter.replica.commit_index)
    assert told is not None
    return told


def test_every_voter_that_hears_the_leader_is_as_old_as_its_last_keep_alive() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.commit(b"x", at=leader)
    voters.run(1.0)
    assert all(age(voters, name) <= 0.25 for name in voters.names)


def test_a_voter_that_is_cut_off_grows_old() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.5)
    follower = next(name for name in voters.names if name != leader)
    voters.cut(follower)
    voters.run(5.0)
    assert 5.0 <= age(voters, follower) <= 5.3


def test_a_leader_that_is_cut_off_grows_old_from_the_last_majority_on() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.5)
    voters.cut(leader)
    voters.run(0.4)
    assert 0.4 <= age(voters, leader) <= 0.7
    voters.run(2.0)
    assert 2.4 <= age(voters, leader) <= 2.7


def test_what_is_not_applied_yet_makes_a_voter_as_old_as_what_is() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.5)
    follower = next(name for name in voters.names if name != leader)
    replica = voters[follower].replica
    applied = replica.commit_index
    before = replica.age(voters.now, applied)
    assert before is not None
    voters.commit(b"x", at=leader)
    voters.run(1.0)
    late = replica.age(voters.now, applied)
    assert late is not None
    assert late >= 0.9
    assert age(voters, follower) <= 0.25


def test_without_a_leader_the_age_of_what_was_read_from_disk_is_not_known() -> None:
    voters = Voters()
    assert voters["a"].replica.age(voters.now, 0) is None
