"""Who belongs to the cluster: one change at a time, learners first, never without a majority."""

import pytest

from molecule.model.errors import (
    ChangeInProgress,
    LastVoter,
    LeadershipMoving,
    LearnerBehind,
    LimitExceeded,
    MemberExists,
    MemberRemoved,
    MoleculeError,
    NoLeader,
    QuorumAtRisk,
    UnknownMember,
)
from molecule.raft.changes import AddLearner, Change, Promote, Readdress, Remove, planned
from molecule.raft.configuration import (
    Configuration,
    Member,
    decode,
    decode_all,
    decode_placed,
    encode_all,
)
from molecule.raft.outbox import SnapshotMark
from molecule.raft.settings import Bounds
from tests.unit.raft.voters import Voters

A, B, D = Member("a", "a:1", "a1"), Member("b", "b:1", "b1"), Member("d", "d:1", "d1")
PAIR = Configuration((A, B), index=5)


def ids(voters: Voters, name: str) -> tuple[str, ...]:
    return voters[name].replica.configuration.voter_ids


def others(voters: Voters, leader: str) -> list[str]:
    return [name for name in voters.voters if name != leader]


# --- the value ----------------------------------------------------------------------------------


def test_a_configuration_survives_its_bytes() -> None:
    full = PAIR.with_learner(D).without("b", removed_kept=3)

    assert decode(full.encode(), 9) == full
    assert decode(full.encode(), 9).index == 9
    assert decode_placed(full.encode_placed()) == full
    assert decode_all(encode_all([PAIR, full])) == [PAIR, full]
    assert decode_placed(b"") is None


def test_only_the_newest_that_left_are_remembered() -> None:
    left = PAIR
    for number in range(5):
        left = left.with_learner(Member("d", "", f"d{number}")).without("d", removed_kept=3)

    assert [gone.birth for gone in left.removed] == ["d2", "d3", "d4"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (AddLearner(Member("a", "a:1", "a2")), MemberExists),
        (AddLearner(Member("e", "b:1", "e1")), MemberExists),
        (AddLearner(Member("c", "c:1", "c1")), MemberRemoved),
        (AddLearner(Member("x", "x:1", "x1")), LimitExceeded),
        (Promote("d"), LimitExceeded),
        (Promote("z"), UnknownMember),
        (Remove("z"), UnknownMember),
        (Readdress("z", "z:1"), UnknownMember),
        (Readdress("a", "b:1"), MemberExists),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(
    change: Change, error: type[MoleculeError]
) -> None:
    removed = Configuration((A, B, Member("c", "c:1", "c1"))).without("c", removed_kept=3)
    full = removed.with_learner(D)

    with pytest.raises(error) as refused:
        planned(full, change, Bounds(voters_max=2, learners_max=1))

    assert refused.value.definite


@pytest.mark.parametrize(
    "change",
    [AddLearner(B), AddLearner(D), Promote("a"), Remove("c"), Readdress("a", "a:1")],
)
def test_a_change_that_is_done_already_changes_nothing(change: Change) -> None:
    now_in = Configuration((A, B, Member("c"))).without("c", removed_kept=3).with_learner(D)

    assert planned(now_in, change, Bounds()) is now_in


def test_the_last_voter_stays() -> None:
    with pytest.raises(LastVoter):
        planned(Configuration((A,)), Remove("a"), Bounds())


# --- growing ------------------------------------------------------------------------------------


def test_one_voter_grows_to_five_and_back_while_it_commits() -> None:
    voters = Voters("a")
    leader = voters.leader()
    for number, name in enumerate("bcde"):
        voters.commit(b"%d" % number, at=leader)
        voters.join(name, at=leader)
    assert ids(voters, leader) == tuple("abcde")

    for name in "ecdb":
        voters.change(Remove(name), at=leader)
    voters.commit(b"end", at=leader)

    assert ids(voters, leader) == ("a",)
    assert voters.data("a") == [b"0", b"1", b"2", b"3", b"end"]


def test_a_learner_receives_everything_and_counts_for_nothing() -> None:
    voters = Voters("abc")
    leader = voters.leader()
    voters.newcomer("d")
    voters.change(AddLearner(D), at=leader)
    voters.commit(b"x", at=leader)
    voters.run(0.3)
    assert voters.data("d") == [b"x"]

    for name in others(voters, leader)[:2]:
        voters.cut(name)
    voters[leader].replica.propose(b"y", 7, voters.now)
    voters.run(3.0)

    assert not voters[leader].replica.is_leader, "a learner is no majority"
    assert voters["d"].replica.term <= voters[leader].replica.term
    assert not any(frame.HasField("vote_request") for _, frame in voters["d"].sent)
    assert not any(frame.HasField("pre_vote_request") for _, frame in voters["d"].sent)


def test_a_newcomer_far_behind_gets_a_snapshot_first() -> None:
    voters = Voters("a")
    leader = voters.leader()
    for number in range(60):
        voters.commit(b"%d" % number, at=leader, ticket=number)
    last = voters[leader].committed[-1]
    voters[leader].replica.snapshot_saved(SnapshotMark(last.index, last.term), voters.now)
    voters.newcomer("d")
    voters.change(AddLearner(D), at=leader)
    voters.run(0.5)

    assert voters[leader].snapshots_wanted == ["d"]
    (progress,) = voters[leader].replica.learners(voters.now)
    assert progress.needs_snapshot
    assert not progress.answers_in_time
    with pytest.raises(LearnerBehind):
        voters[leader].replica.change(Promote("d"), 1, voters.now)


def test_a_learner_that_is_silent_is_not_promoted_and_can_be_removed() -> None:
    voters = Voters("abc")
    leader = voters.leader()
    voters.newcomer("d")
    voters.change(AddLearner(D), at=leader)
    voters.run(0.5)
    voters.cut("d")
    voters.run(1.0)

    with pytest.raises(LearnerBehind):
        voters[leader].replica.change(Promote("d"), 1, voters.now)
    voters.change(Remove("d"), at=leader)

    assert voters[leader].replica.configuration.learner_ids == ()


# --- one at a time ------------------------------------------------------------------------------


def test_a_change_waits_for_the_one_before() -> None:
    voters = Voters("abc")
    leader = voters.leader()
    voters.newcomer("d")
    voters[leader].replica.change(AddLearner(D), 1, voters.now)

    with pytest.raises(ChangeInProgress):
        voters[leader].replica.change(Remove("d"), 2, voters.now)

    voters.run(0.3)
    voters.change(Remove("d"), at=leader, ticket=3)


def test_a_new_leader_changes_nothing_before_an_entry_of_its_term_is_committed() -> None:
    voters = Voters("abc")
    leader = voters.leader()
    voters.cut(leader)
    successor = next(n for n in others(voters, leader))
    for _ in range(6000):
        voters.step()
        successor = next((n for n in others(voters, leader) if voters[n].replica.is_leader), "")
        if successor:
            break

    with pytest.raises(ChangeInProgress):
        voters[successor].replica.change(AddLearner(D), 1, voters.now)


def test_a_follower_refuses_a_change_and_names_the_leader() -> None:
    voters = Voters("abc")
    leader = voters.leader()

    with pytest.raises(NoLeader) as refused:
        voters[others(voters, leader)[0]].replica.change(AddLearner(D), 1, voters.now)

    assert refused.value.facts["leader"] == leader


def test_an_isolated_leader_cannot_make_itself_the_majority() -> None:
    voters = Voters("abc")
    leader = voters.leader()
    gone = others(voters, leader)
    voters[leader].replica.change(Remove(gone[0]), 1, voters.now)
    voters.cut(leader)
    with pytest.raises(ChangeInProgress):
        voters[leader].replica.change(Remove(gone[1]), 2, voters.now)
    rest = voters.leader(among="".join(gone))
    voters.commit(b"x", at=rest)
    voters.connect(leader)
    voters.run(1.0)

    assert ids(voters, leader) == tuple("abc"), "the change that was never committed is gone"
    assert voters.data(leader) == [b"x"]


# --- the quorum ---------------------------------------------------------------------------------


def test_a_live_voter_is_not_removed_while_a_dead_one_would_be_half_of_the_rest() -> None:
    voters = Voters("abc")
    leader = voters.leader()
    dead, live = others(voters, leader)
    voters.cut(dead)
    voters.run(0.7)

    with pytest.raises(QuorumAtRisk) as refused:
        voters[leader].replica.change(Remove(live), 1, voters.now)
    assert refused.value.facts["silent"] == [dead]

    voters.change(Remove(dead), at=leader)
    assert ids(voters, leader) == tuple(sorted((leader, live)))


def test_a_dead_voter_is_replaced() -> None:
    voters = Voters("abc")
    leader = voters.leader()
    dead = others(voters, leader)[0]
    voters.cut(dead)
    del voters.voters[dead]
    voters.run(0.7)
    voters.change(Remove(dead), at=leader)
    voters.join("d", at=leader)
    third = next(n for n in others(voters, leader) if n != "d")

    voters.cut(third)
    voters.commit(b"x", at=leader)

    assert voters.data("d") == [b"x"]


def test_the_leader_hands_over_before_it_is_removed() -> None:
    voters = Voters("abc")
    leader = voters.leader()
    with pytest.raises(LeadershipMoving):
        voters[leader].replica.change(Remove(leader), 1, voters.now)

    successor = voters.leader(among="".join(others(voters, leader)))
    voters.change(Remove(leader), at=successor)

    assert leader not in ids(voters, successor)


def test_a_removed_voter_disturbs_nobody() -> None:
    voters = Voters("abc")
    leader = voters.leader()
    removed = others(voters, leader)[0]
    voters.change(Remove(removed), at=leader)
    term = voters[leader].replica.term
    voters.cut(removed)
    voters.run(2.0)
    voters.connect(removed)
    voters.run(3.0)

    assert voters[leader].replica.is_leader
    assert voters[leader].replica.term == term


# --- transfer -----------------------------------------------------------------------------------


def test_leadership_goes_to_the_voter_that_was_named() -> None:
    voters = Voters("abcde")
    leader = voters.leader()
    for name in others(voters, leader):
        voters[leader].replica.transfer(voters.now, name)
        assert voters.leader(among=name) == name
        leader = name


def test_leadership_is_not_handed_to_a_learner_or_a_stranger() -> None:
    voters = Voters("abc")
    leader = voters.leader()
    voters.newcomer("d")
    voters.change(AddLearner(D), at=leader)

    for name in ("d", "z"):
        with pytest.raises(UnknownMember):
            voters[leader].replica.transfer(voters.now, name)


# --- restart ------------------------------------------------------------------------------------


def test_the_configuration_in_the_journal_wins_over_the_one_that_was_formed() -> None:
    voters = Voters("a")
    leader = voters.leader()
    voters.join("b", at=leader)
    voters.join("c", at=leader)
    for name in "abc":
        voters.restart(name)

    assert ids(voters, "a") == tuple("abc")
    leader = voters.leader()
    voters.commit(b"x", at=leader)


def test_an_uncommitted_change_is_in_force_after_a_restart() -> None:
    voters = Voters("abc")
    leader = voters.leader()
    gone = others(voters, leader)[0]
    voters[leader].replica.change(Remove(gone), 1, voters.now)
    voters.cut(leader)
    voters.run(0.05)
    voters.restart(leader)

    assert gone not in ids(voters, leader)


def test_the_configuration_outlives_the_segments_that_held_it() -> None:
    voters = Voters("a")
    leader = voters.leader()
    voters.join("b", at=leader)
    for number in range(60):
        voters.commit(b"%03d" % number * 1000, at=leader, ticket=number)
        last = voters[leader].committed[-1]
        mark = SnapshotMark(last.index, last.term)
        voters[leader].replica.snapshot_saved(mark, voters.now)
    voters.run(0.2)
    assert "0000000001.segment" not in voters["a"].files.visible

    voters.restart("a", snapshot=mark)

    assert ids(voters, "a") == tuple("ab")
    assert voters["a"].replica.configuration.index > 0
