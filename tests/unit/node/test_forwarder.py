"""The way of commands to the leader, through elections and broken links."""

import asyncio
from collections.abc import Sequence

import pytest

from molecule.cluster.outcome import Applied, Outcome
from molecule.config import Limits
from molecule.model.errors import (
    LimitExceeded,
    MoleculeError,
    NoLeader,
    OutcomeUnknown,
    Overloaded,
)
from molecule.node.forwarder import Commands, Forwarder
from molecule.node.proposer import GroupResult, Proposer
from molecule.wire.v1 import commands_pb2 as c


class Cluster:
    """Two nodes; `leader` says which one answers, `fails` what the next remote calls raise."""

    def __init__(self, leader: str | None, limits: Limits | None = None) -> None:
        self.leader = leader
        self.fails: list[MoleculeError] = []
        self.remote: list[int] = []
        self.local = 0
        self.frozen = False
        self.asked = asyncio.Event()
        self.proposer = Proposer(
            commit=self._commit, now_ms=lambda: 0, has_time=lambda: True, limits=Limits()
        )
        self.forwarder = Forwarder(
            me="n1",
            leader=lambda: self.leader,
            proposer=self.proposer,
            send=self._send,
            limits=limits or Limits(),
        )

    def lead(self, node: str | None) -> None:
        self.leader = node
        self.forwarder.leader_changed()

    async def _commit(self, data: bytes) -> tuple[int, tuple[Outcome, ...]]:
        self.local += 1
        return 1, tuple(Applied() for _ in c.Entry.FromString(data).commands)

    async def _send(self, _node: str, groups: Sequence[Commands]) -> list[GroupResult]:
        self.remote.append(len(groups))
        self.asked.set()
        if self.frozen:
            await asyncio.Event().wait()
        if self.fails:
            raise self.fails.pop(0)
        return [GroupResult(9, tuple(Applied() for _ in group)) for group in groups]


def a_command(execution: str = "e") -> c.Command:
    return c.Command(version=1, cancel_execution=c.CancelExecution(execution=execution))


async def with_running(cluster: Cluster, *commands: Commands) -> list[GroupResult]:
    async with asyncio.TaskGroup() as group:
        running = [
            group.create_task(cluster.proposer.run()),
            group.create_task(cluster.forwarder.run()),
        ]
        calls = [
            group.create_task(cluster.forwarder.insist(each, within_s=30)) for each in commands
        ]
        try:
            return [await call for call in calls]
        finally:
            for task in running:
                task.cancel()


async def test_leader_proposes_without_a_network() -> None:
    cluster = Cluster("n1")
    cluster.forwarder.leader_changed()
    await with_running(cluster, [a_command()])
    assert (cluster.local, cluster.remote) == (1, [])


async def test_groups_said_together_travel_together() -> None:
    cluster = Cluster("n2")
    cluster.forwarder.leader_changed()
    results = await with_running(cluster, [a_command()], [a_command()], [a_command()])
    assert cluster.remote == [3]
    assert [result.index for result in results] == [9, 9, 9]


async def test_insisting_survives_an_election_and_an_unknown_outcome() -> None:
    cluster = Cluster("n2")
    cluster.forwarder.leader_changed()
    cluster.fails = [NoLeader("deposed"), OutcomeUnknown("link broke")]
    (result,) = await with_running(cluster, [a_command()])
    assert (result.index, cluster.remote) == (9, [1, 1, 1])


async def test_what_must_not_take_effect_twice_is_said_again_only_while_nothing_happened() -> None:
    cluster = Cluster("n2")
    cluster.forwarder.leader_changed()
    cluster.fails = [NoLeader("deposed"), OutcomeUnknown("link broke")]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(cluster.forwarder.run())
        with pytest.raises(OutcomeUnknown):
            await cluster.forwarder.insist([a_command()], within_s=30, repeat_unknown=False)
        running.cancel()
    assert cluster.remote == [1, 1]


async def test_without_a_leader_nothing_is_said_and_the_refusal_is_definite() -> None:
    cluster = Cluster(None)
    with pytest.raises(NoLeader) as refused:
        await cluster.forwarder.insist([a_command()], within_s=0.05)
    assert refused.value.definite
    assert (cluster.local, cluster.remote) == (0, [])


async def test_a_group_that_may_have_committed_is_not_called_refused_at_the_end() -> None:
    cluster = Cluster("n2")
    cluster.forwarder.leader_changed()
    cluster.fails = [OutcomeUnknown("link broke")] + [NoLeader("none")] * 100
    async with asyncio.TaskGroup() as group:
        running = group.create_task(cluster.forwarder.run())
        with pytest.raises(OutcomeUnknown):
            await cluster.forwarder.insist([a_command()], within_s=0.1)
        running.cancel()


async def test_a_try_that_is_still_under_way_at_the_end_is_unknown() -> None:
    cluster = Cluster("n1")
    cluster.forwarder.leader_changed()
    # The proposer does not run: the group waits in its queue and may commit later.
    with pytest.raises(OutcomeUnknown):
        await cluster.forwarder.insist([a_command()], within_s=0.05)


async def test_what_a_frozen_leader_holds_goes_to_the_next_one() -> None:
    cluster = Cluster("n2")
    cluster.forwarder.leader_changed()
    cluster.frozen = True
    async with asyncio.TaskGroup() as group:
        running = group.create_task(cluster.forwarder.run())
        call = group.create_task(cluster.forwarder.insist([a_command()], within_s=30))
        await cluster.asked.wait()
        cluster.frozen = False
        cluster.lead("n3")
        assert (await call).index == 9
        running.cancel()
    assert cluster.remote == [1, 1]


async def test_a_refusal_after_a_try_that_may_have_committed_is_not_definite() -> None:
    cluster = Cluster("n2")
    cluster.forwarder.leader_changed()
    cluster.fails = [OutcomeUnknown("link broke"), Overloaded("full")]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(cluster.forwarder.run())
        with pytest.raises(OutcomeUnknown):
            await cluster.forwarder.insist([a_command()], within_s=30)
        running.cancel()


async def test_a_group_too_large_for_an_entry_is_refused_before_it_travels_with_others() -> None:
    cluster = Cluster("n2", Limits(entry_bytes_max=100))
    cluster.forwarder.leader_changed()
    with pytest.raises(LimitExceeded, match="entry_bytes_max"):
        await cluster.forwarder.insist([a_command("e" * 200)], within_s=30)
    assert cluster.remote == []


async def test_groups_that_travel_together_fit_into_one_entry() -> None:
    cluster = Cluster("n2", Limits(entry_bytes_max=100))
    cluster.forwarder.leader_changed()
    await with_running(cluster, *[[a_command("e" * 40)] for _ in range(3)])
    assert cluster.remote == [1, 1, 1]


async def test_leaders_that_change_faster_than_a_try_ends_give_it_up_once() -> None:
    cluster = Cluster("n2")
    cluster.forwarder.leader_changed()
    cluster.frozen = True
    async with asyncio.TaskGroup() as group:
        running = group.create_task(cluster.forwarder.run())
        call = asyncio.ensure_future(cluster.forwarder.propose([a_command()]))
        await cluster.asked.wait()
        while not call.done():
            cluster.lead("n3" if cluster.leader is None else None)
            await asyncio.sleep(0)
        running.cancel()
    assert isinstance(call.exception(), OutcomeUnknown)
