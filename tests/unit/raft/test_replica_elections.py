"""Who leads: elections, living leaders, slow disks, lost tails, handing over."""

import pytest

from molecule.model.errors import NoLeader
from molecule.raft.settings import Timing
from tests.unit.raft.voters import STEP, Voters


def others(voters: Voters, name: str) -> str:
    return "".join(other for other in voters.names if other != name)


def terms(voters: Voters) -> set[int]:
    return {voters[name].replica.term for name in voters.names}


def test_one_leader_is_elected() -> None:
    voters = Voters("abcde")
    leader = voters.leader()
    voters.run(0.5)

    assert {voters[name].replica.leader_id for name in voters.names} == {leader}


def test_nobody_campaigns_while_the_leader_lives() -> None:
    voters = Voters()
    voters.leader()
    before = terms(voters)
    voters.run(10.0)

    assert terms(voters) == before


def test_a_dead_leader_is_replaced_quickly_when_its_links_break() -> None:
    voters = Voters()
    old = voters.leader()
    voters.run(1.0)
    began = voters.now
    voters.cut(old)
    voters.leader(among=others(voters, old))

    assert voters.now - began < Timing().election_min


def test_a_leader_that_hears_nobody_steps_down_in_time() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(1.0)
    voters.cut(leader)
    voters.run(Timing().step_down + 2 * STEP)

    assert not voters[leader].replica.is_leader


def test_a_voter_that_comes_back_disturbs_nobody() -> None:
    voters = Voters()
    leader = voters.leader()
    away = others(voters, leader)[0]
    voters.cut(away)
    voters.run(5.0)
    before = voters[leader].replica.term

    voters.connect(away)
    voters.run(2.0)

    assert voters[leader].replica.is_leader
    assert voters[leader].replica.term == before


def test_a_leader_rises_above_a_voter_with_a_higher_term() -> None:
    voters = Voters()
    leader = voters.leader()
    ahead = others(voters, leader)[0]
    journal = voters[ahead].replica.journal
    journal.set_term(journal.term + 5, None)
    voters[ahead].files.lose_power()
    write = journal.take_write()
    assert write is not None
    write.run()
    voters.restart(ahead)
    voters.run(0.1)

    again = voters.leader()
    assert voters.commit(b"x", at=again).failure is None
    voters.run(0.5)

    assert voters.data(ahead)[-1:] == [b"x"]
    assert min(terms(voters)) > 5


def test_a_slow_disk_causes_no_election() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.2)
    before = terms(voters)
    for round_number in range(20):
        for name in voters.names:
            voters[name].disk_hangs = True
        voters[leader].replica.propose(b"x", round_number, voters.now)
        voters.run(0.4)
        for name in voters.names:
            voters[name].disk_hangs = False
        voters.run(0.05)

    assert terms(voters) == before


def test_a_leader_whose_disk_hangs_is_replaced() -> None:
    voters = Voters()
    leader = voters.leader()
    voters[leader].disk_hangs = True
    voters[leader].replica.propose(b"x", 1, voters.now)

    new = voters.leader(among=others(voters, leader))

    assert voters.commit(b"y", at=new).failure is None


def test_a_follower_whose_disk_hangs_does_not_campaign() -> None:
    voters = Voters()
    leader = voters.leader()
    hanging = others(voters, leader)[0]
    voters[hanging].disk_hangs = True
    before = terms(voters)
    for number in range(50):
        voters[leader].replica.propose(b"x", number, voters.now)
        voters.run(0.1)

    assert terms(voters) == before


def test_leadership_is_handed_over_without_a_gap_in_certainty() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.2)
    voters[leader].replica.propose(b"x", 1, voters.now)
    voters[leader].replica.transfer(voters.now)
    began = voters.now

    new = voters.leader(among=others(voters, leader))

    assert voters.now - began < 0.1
    assert voters[leader].settled[0].failure is None
    assert voters.commit(b"y", at=new).failure is None


def test_a_leader_that_is_handing_over_takes_no_commands() -> None:
    voters = Voters()
    leader = voters.leader()
    voters[leader].replica.transfer(voters.now)

    with pytest.raises(NoLeader, match="handing"):
        voters[leader].replica.propose(b"x", 1, voters.now)


def test_a_hand_over_nobody_takes_ends_by_itself() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.2)
    for name in others(voters, leader):
        voters[name].disk_hangs = True
    voters[leader].replica.propose(b"x", 1, voters.now)
    voters[leader].replica.transfer(voters.now)
    voters.run(Timing().election_max + 2 * STEP)
    for name in others(voters, leader):
        voters[name].disk_hangs = False
    voters.run(0.05)

    assert voters.commit(b"y", at=leader, ticket=2).failure is None


def lose_tail(voters: Voters, name: str) -> None:
    """Cut the power of a voter and damage the last write it had synced."""
    voters.cut(name)
    journal = voters[name].replica.journal
    durable = voters[name].files.durable
    segment = max(key for key, data in durable.items() if data.count(0) != len(data))
    damaged = bytearray(durable[segment])
    used = len(damaged.rstrip(b"\0"))
    damaged[used - 1] ^= 0xFF
    durable[segment] = bytes(damaged)
    assert journal.durable_index > 1


def test_a_voter_that_lost_its_tail_elects_nobody_who_lacks_it() -> None:
    voters = Voters()
    leader = voters.leader()
    behind, holder = sorted(set(voters.names) - {leader})
    voters.run(0.2)
    voters.cut(behind)
    voters.commit(b"kept", at=leader)
    voters.cut(leader)
    lose_tail(voters, holder)
    voters.restart(holder)
    voters.cut(leader)
    voters.connect(behind)
    voters.links.pop((behind, leader), None)
    voters.links.pop((leader, behind), None)
    voters.links.pop((holder, leader), None)
    voters.links.pop((leader, holder), None)
    assert voters[holder].replica.journal.is_doubtful

    voters.run(5.0)
    assert not voters[behind].replica.is_leader
    assert not voters[holder].replica.is_leader

    voters.restart(leader)
    voters.leader()
    voters.run(1.0)
    assert [voters.data(name)[-1:] for name in voters.names] == [[b"kept"]] * 3


def test_a_voter_that_lost_its_tail_is_trusted_again_once_a_leader_made_it_good() -> None:
    voters = Voters()
    leader = voters.leader()
    damaged = others(voters, leader)[0]
    voters.commit(b"kept", at=leader)
    lose_tail(voters, damaged)
    voters.restart(damaged)
    assert voters[damaged].replica.journal.is_doubtful

    voters.run(1.0)

    assert not voters[damaged].replica.journal.is_doubtful
    assert voters.data(damaged)[-1:] == [b"kept"]


def test_voters_that_all_lost_their_tails_elect_one_together() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.commit(b"maybe", at=leader)
    for name in voters.names:
        lose_tail(voters, name)
    for name in voters.names:
        voters.restart(name)

    again = voters.leader()

    assert voters.commit(b"on", at=again).failure is None
