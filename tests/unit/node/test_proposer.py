"""Group commit: what is said at the same time commits together, what is one stays one."""

import asyncio

import pytest

from molecule.cluster.outcome import Applied, Outcome
from molecule.config import Limits
from molecule.model.errors import LimitExceeded, NoLeader, OutcomeUnknown, Overloaded
from molecule.node.proposer import Proposer
from molecule.wire.v1 import commands_pb2 as c


class Log:
    """Commits entries when told, and answers each command with its place."""

    def __init__(self) -> None:
        self.entries: list[c.Entry] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.good = 0
        """So many entries commit before the error."""

    async def commit(self, data: bytes) -> tuple[int, tuple[Outcome, ...]]:
        self.entries.append(c.Entry.FromString(data))
        await self.gate.wait()
        if self.error is not None and len(self.entries) > self.good:
            raise self.error
        return len(self.entries), tuple(Applied(n) for n in range(len(self.entries[-1].commands)))


def a_command(name: str = "e") -> c.Command:
    return c.Command(version=1, cancel_execution=c.CancelExecution(execution=name))


def a_proposer(log: Log, limits: Limits | None = None) -> Proposer:
    return Proposer(
        commit=log.commit, now_ms=lambda: 42, has_time=lambda: True, limits=limits or Limits()
    )


async def test_groups_said_during_a_commit_share_the_next_entry() -> None:
    log = Log()
    proposer = a_proposer(log)
    log.gate.clear()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(proposer.run())
        first = group.create_task(proposer.propose([a_command("a")]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        second = group.create_task(proposer.propose([a_command("b"), a_command("c")]))
        third = group.create_task(proposer.propose([a_command("d")]))
        await asyncio.sleep(0)
        log.gate.set()
        results = [await first, await second, await third]
        running.cancel()
    names = [[x.cancel_execution.execution for x in entry.commands] for entry in log.entries]
    assert names == [["a"], ["b", "c", "d"]]
    assert [result.index for result in results] == [1, 2, 2]
    assert results[1].outcomes == (Applied(0), Applied(1))
    assert results[2].outcomes == (Applied(2),)
    assert log.entries[0].at_ms == 42


async def test_a_group_is_never_split_over_two_entries() -> None:
    log = Log()
    proposer = a_proposer(log, Limits(entry_commands_max=3))
    log.gate.clear()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(proposer.run())
        tasks = [group.create_task(proposer.propose([a_command(), a_command()])) for _ in range(3)]
        await asyncio.sleep(0)
        log.gate.set()
        for task in tasks:
            await task
        running.cancel()
    assert [len(entry.commands) for entry in log.entries] == [2, 2, 2]


async def test_entry_is_sent_before_voters_would_need_long_to_apply_it() -> None:
    log = Log()
    proposer = a_proposer(log, Limits(entry_commands_gathered_max=3))
    log.gate.clear()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(proposer.run())
        tasks = [group.create_task(proposer.propose([a_command()] * 2)) for _ in range(2)]
        whole = group.create_task(proposer.propose([a_command()] * 4))
        await asyncio.sleep(0)
        log.gate.set()
        for task in (*tasks, whole):
            await task
        running.cancel()
    assert [len(entry.commands) for entry in log.entries] == [2, 2, 4]


async def test_a_group_over_the_bound_is_refused_by_name() -> None:
    proposer = a_proposer(Log(), Limits(entry_commands_max=1))
    with pytest.raises(LimitExceeded, match="entry_commands_max"):
        await proposer.propose([a_command(), a_command()])


@pytest.mark.parametrize("error", [NoLeader("none"), OutcomeUnknown("who knows")])
async def test_every_group_of_a_failed_entry_hears_how_it_failed(error: Exception) -> None:
    log = Log()
    log.error = error
    proposer = a_proposer(log)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(proposer.run())
        with pytest.raises(type(error)):
            await proposer.propose([a_command()])
        running.cancel()


async def test_groups_of_one_call_are_queued_all_or_none() -> None:
    log = Log()
    proposer = a_proposer(log, Limits(proposals_queued_max=2))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(proposer.run())
        with pytest.raises(Overloaded):
            await proposer.propose_all([[a_command()]] * 3)
        assert len(await proposer.propose_all([[a_command()]] * 2)) == 2
        running.cancel()
    assert [len(entry.commands) for entry in log.entries] == [2]


async def test_one_group_over_the_bound_lets_none_of_its_call_commit() -> None:
    log = Log()
    proposer = a_proposer(log, Limits(entry_commands_max=1))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(proposer.run())
        with pytest.raises(LimitExceeded):
            await proposer.propose_all([[a_command()], [a_command(), a_command()]])
        await proposer.propose([a_command("later")])
        running.cancel()
    assert [entry.commands[0].cancel_execution.execution for entry in log.entries] == ["later"]


async def test_groups_of_which_only_some_committed_are_not_called_refused() -> None:
    log = Log()
    log.error, log.good = NoLeader("deposed"), 1
    proposer = a_proposer(log, Limits(entry_commands_max=1))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(proposer.run())
        with pytest.raises(OutcomeUnknown):
            await proposer.propose_all([[a_command()], [a_command()]])
        running.cancel()


async def test_nothing_but_a_claim_is_said_before_the_time_of_the_cluster_has_begun() -> None:
    log = Log()
    begun = False
    proposer = Proposer(
        commit=log.commit, now_ms=lambda: 42, has_time=lambda: begun, limits=Limits()
    )
    claim = c.Command(version=1, claim_leadership=c.ClaimLeadership(node="n1"))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(proposer.run())
        with pytest.raises(NoLeader) as refused:
            await proposer.propose([a_command()])
        await proposer.propose([claim])
        begun = True
        await proposer.propose([a_command()])
        running.cancel()
    assert refused.value.definite
    assert [entry.commands[0].WhichOneof("kind") for entry in log.entries] == [
        "claim_leadership",
        "cancel_execution",
    ]
