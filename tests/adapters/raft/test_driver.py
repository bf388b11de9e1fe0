"""The driver on real disks and a real loop."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from molecule.model.errors import NoLeader, OutcomeUnknown, Overloaded
from molecule.raft.outbox import Role, SnapshotMark
from molecule.raft.settings import Bounds
from tests.adapters.raft.cluster import Member, Network, until

SMALL = Bounds(
    entry_bytes_max=4096,
    append_bytes_max=8192,
    append_entries_max=64,
    segment_bytes=64 * 1024,
    entries_kept=8,
    reserve_bytes=1024,
)


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    network = Network(tmp_path, bounds=SMALL, scale=2)
    await network.start_all()
    yield network
    await network.stop_all()


async def all_have(network: Network, entries: list[bytes], names: str = "abc") -> None:
    machines = [network.members[name].machine for name in names]
    await until(lambda: all(machine.entries == entries for machine in machines))


def follower_of(network: Network, leader: Member) -> Member:
    return next(member for member in network.members.values() if member is not leader)


async def test_a_proposal_returns_what_apply_returned(network: Network) -> None:
    leader = await network.leader()

    assert [await leader.driver.propose(b"x"), await leader.driver.propose(b"y")] == [1, 2]
    await all_have(network, [b"x", b"y"])


async def test_many_callers_at_once_each_get_their_own_result(network: Network) -> None:
    leader = await network.leader()
    commands = [b"%d" % number for number in range(2000)]

    results = await asyncio.gather(*(leader.driver.propose(data) for data in commands))

    assert results == list(range(1, 2001))
    await all_have(network, commands)


async def test_everything_acknowledged_survives_a_restart_of_all(tmp_path: Path) -> None:
    network = Network(tmp_path, bounds=SMALL, scale=2)
    await network.start_all()
    leader = await network.leader()
    commands = [b"%d" % number for number in range(50)]
    for data in commands:
        await leader.driver.propose(data)
    await network.stop_all()

    again = Network(tmp_path, bounds=SMALL, scale=2)
    await again.start_all()
    await again.leader()
    await all_have(again, commands)
    await again.stop_all()


async def test_a_follower_refuses_proposals_and_names_the_leader(network: Network) -> None:
    leader = await network.leader()
    follower = follower_of(network, leader)

    with pytest.raises(NoLeader) as refused:
        await follower.driver.propose(b"x")

    assert refused.value.facts["leader"] == leader.name
    assert refused.value.definite


async def test_a_leader_that_is_cut_off_says_that_it_does_not_know(network: Network) -> None:
    leader = await network.leader()
    network.cut(leader.name)

    with pytest.raises(OutcomeUnknown):
        await leader.driver.propose(b"x")


async def test_a_barrier_waits_until_its_index_is_applied(network: Network) -> None:
    leader = await network.leader()
    await leader.driver.propose(b"x")

    index = await leader.driver.barrier()

    assert leader.driver.applied_index >= index
    assert leader.machine.entries == [b"x"]


async def test_a_follower_can_wait_for_an_index(network: Network) -> None:
    leader = await network.leader()
    await leader.driver.propose(b"x")
    follower = follower_of(network, leader)

    await follower.driver.until_applied(leader.driver.applied_index)

    assert follower.machine.entries == [b"x"]


async def test_roles_are_told_to_all(network: Network) -> None:
    leader = await network.leader()
    follower = follower_of(network, leader)
    told: list[Role] = []
    follower.driver.on_role(told.append)

    network.cut(leader.name)
    rest = "".join(name for name in "abc" if name != leader.name)
    new = await network.leader(among=rest)
    await new.driver.propose(b"x")
    await all_have(network, [b"x"], rest)

    assert told[-1].leader == new.name


async def test_leadership_can_be_handed_over(network: Network) -> None:
    leader = await network.leader()
    leader.driver.transfer()
    rest = "".join(name for name in "abc" if name != leader.name)

    new = await network.leader(among=rest)

    assert await new.driver.propose(b"x") == 1
    assert not leader.driver.is_leader


async def test_proposals_are_bounded(network: Network) -> None:
    leader = await network.leader()
    leader.driver._proposals_max = 10
    calls = [asyncio.ensure_future(leader.driver.propose(b"x")) for _ in range(11)]
    results = await asyncio.gather(*calls, return_exceptions=True)

    assert sum(isinstance(result, Overloaded) for result in results) == 1


async def test_a_stopped_driver_leaves_nobody_waiting(network: Network) -> None:
    leader = await network.leader()
    network.cut(leader.name)
    call = asyncio.ensure_future(leader.driver.propose(b"x"))
    await asyncio.sleep(0)

    await leader.driver.stop()

    with pytest.raises(OutcomeUnknown):
        await call
    with pytest.raises(NoLeader):
        await leader.driver.propose(b"y")


async def test_a_state_machine_that_raises_stops_the_node(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader = await network.leader()
    follower = follower_of(network, leader)

    def broken(*_: object) -> object:
        raise MemoryError

    monkeypatch.setattr(follower.machine, "apply", broken)
    await leader.driver.propose(b"x")
    await until(lambda: follower.fatal)

    assert "could not be applied" in follower.fatal[0]


async def test_a_sync_that_fails_stops_the_node_and_not_the_cluster(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader = await network.leader()

    def broken(_name: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(leader.driver._files, "sync", broken)
    with pytest.raises(OutcomeUnknown):
        await leader.driver.propose(b"x")
    network.cut(leader.name)

    assert "could not be synced" in leader.fatal[0]
    rest = "".join(name for name in "abc" if name != leader.name)
    new = await network.leader(among=rest)
    await new.driver.propose(b"y")


async def test_a_voter_far_behind_installs_a_snapshot_and_starts_again(network: Network) -> None:
    leader = await network.leader()
    behind = follower_of(network, leader)
    network.cut(behind.name)
    commands = [b"%d" % number for number in range(200)]
    for data in commands:
        await leader.driver.propose(data)
    leader.driver.saved(SnapshotMark(leader.machine.last_index, leader.machine.last_term))
    await leader.driver.propose(b"after")

    network.connect(behind.name)
    await until(lambda: behind.installed)
    mark = behind.installed[0]
    network.cut(behind.name)
    await behind.stop()
    behind.machine.entries = (behind.path / "generations/2/state.db").read_bytes().split(b"\n")
    await network.start(behind.name, snapshot=mark)

    await all_have(network, [*commands, b"after"])
    assert (behind.path / "CURRENT").read_text() == "2\n"
    assert [path.name for path in (behind.path / "generations").iterdir()] == ["2"]


async def test_a_snapshot_that_breaks_off_changes_nothing(network: Network) -> None:
    leader = await network.leader()
    await leader.driver.propose(b"x")
    await all_have(network, [b"x"])
    follower = follower_of(network, leader)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await follower.driver.receive_snapshot(leader.name, SnapshotMark(99, 9), chunks())
    await leader.driver.propose(b"y")

    await all_have(network, [b"x", b"y"])
    assert follower.installed == []


async def test_a_snapshot_of_the_past_is_answered_but_not_installed(network: Network) -> None:
    leader = await network.leader()
    await leader.driver.propose(b"x")
    await all_have(network, [b"x"])
    follower = follower_of(network, leader)

    read: list[bytes] = []

    async def chunks() -> AsyncIterator[bytes]:
        read.append(b"x")
        yield b"x"

    assert await follower.driver.receive_snapshot(leader.name, SnapshotMark(2, 1), chunks())
    assert (follower.installed, read) == ([], [])


async def test_an_emptied_voter_stops_and_says_so(tmp_path: Path) -> None:
    network = Network(tmp_path, bounds=SMALL, scale=2)
    await network.start_all()
    leader = await network.leader()
    await leader.driver.propose(b"x")
    emptied = follower_of(network, leader)
    network.cut(emptied.name)
    await emptied.stop()
    emptied.path.rename(tmp_path / "gone")

    await network.start(emptied.name, birth="another")
    await until(lambda: emptied.fatal)

    assert "emptied" in emptied.fatal[0]
    await leader.driver.propose(b"y")
    await network.stop_all()


async def test_nobody_leads_before_all_voters_have_met(tmp_path: Path) -> None:
    network = Network(tmp_path, bounds=SMALL)
    await network.start("a")
    await network.start("b")
    # Two elections' time: nothing to wait for may happen.
    await asyncio.sleep(1.2)
    assert not any(network.members[name].driver.is_leader for name in "ab")

    await network.start("c")
    await network.leader()
    assert all(network.members[name].driver.is_formed for name in "abc")
    await network.stop_all()


async def test_idle_voters_wake_for_keep_alives_only(network: Network) -> None:
    leader = await network.leader()
    rounds = 0
    original = leader.driver._replica.round

    def counted(now: float) -> object:
        nonlocal rounds
        rounds += 1
        return original(now)

    leader.driver._replica.round = counted  # type: ignore[method-assign,assignment]  # counts
    seconds, loop = 2.0, asyncio.get_running_loop()
    began = loop.time()
    await asyncio.sleep(seconds)
    keepalives = (loop.time() - began) / network.timing.keepalive

    # One round when it is due and one for each of two answers, and some slack.
    assert rounds <= 4 * keepalives + 4
