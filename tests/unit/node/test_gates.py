"""What a node answers to workers that ask whether a connection takes a call."""

import asyncio
from collections.abc import Callable

import pytest

from molecule.cluster.changes import EntryResult
from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.model.errors import NoLeader, Unavailable
from molecule.node.clock import boottime_us
from molecule.node.forwarder import Commands
from molecule.node.gate_reports import RemoteGates
from molecule.node.gates import Gates, LeaderClock
from molecule.node.proposer import GroupResult
from molecule.wire.v1 import commands_pb2 as wire
from molecule.wire.v1 import worker_pb2 as w
from tests.unit.cluster.builders import ENVIRONMENT, Replica
from tests.unit.cluster.test_gates import CRM, a_replica, crm, go_on, hold, told

FAST = wire.GatePolicy(connection="crm", rate_limit=100, rate_per_ms=1_000)
SLOW = wire.GatePolicy(connection="crm", rate_limit=1, rate_per_ms=60_000)


class Forwarder:
    """Commits to the replica, on a cluster's clock that goes with ours."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.commands: list[wire.Command] = []
        self.refuses = 0
        self._ahead_ms = replica.at_ms - boottime_us() // 1_000

    async def insist(self, commands: Commands, *, within_s: float) -> GroupResult:
        del within_s
        await asyncio.sleep(0)
        if self.refuses:
            self.refuses -= 1
            raise NoLeader("nobody leads")
        self.replica.at_ms = self._ahead_ms + boottime_us() // 1_000
        self.commands += commands
        result = self.replica.commit(*commands)
        return GroupResult(result.index, result.outcomes)


class Node:
    def __init__(self, *policies: wire.GatePolicy) -> None:
        self.replica = a_replica(*policies)
        self.forwarder = Forwarder(self.replica)
        self.gates = Gates(self, self.forwarder, Limits())

    @property
    def state(self) -> ClusterState:
        return self.replica.state

    def listen(self, listener: Callable[[EntryResult], None], /) -> None:
        """Every entry is there before anybody asks."""

    async def ask(self, name: str, *, connection: str = "crm") -> w.GateAnswer:
        token = self.replica.execution(name).token
        return await self.gates.ask(
            w.GateAsk(environment=ENVIRONMENT, connection=connection, execution=name, token=token)
        )

    def start(self, *names: str) -> None:
        for name in names:
            self.replica.start(name, version="v2")


async def test_a_closed_breaker_lets_everybody_through_without_an_entry() -> None:
    node = Node(CRM)
    node.start("e1")
    answer = await node.ask("e1")
    assert (answer.held, answer.passed) == ("", False)
    assert node.forwarder.commands == []


async def test_a_connection_that_nobody_bounds_is_free() -> None:
    node = Node(CRM)
    node.start("e1")
    assert (await node.ask("e1", connection="other")).held == ""


async def test_an_open_breaker_holds_and_a_pass_lets_through() -> None:
    node = Node(CRM)
    node.start("e1", "e2")
    told(node.replica, 3)
    assert (await node.ask("e1")).held == "breaker"
    hold(node.replica, "e1")
    node.replica.at_ms += 60_000
    assert go_on(node.replica) == ["e1"]
    assert (await node.ask("e1")).passed
    assert (await node.ask("e2")).held == "breaker"


def a_failure(call: int, *, token: int = 1) -> w.GateTold:
    return w.GateTold(
        environment=ENVIRONMENT,
        connection="crm",
        execution="e1",
        token=token,
        call=call,
        failed=True,
    )


async def test_a_failure_that_is_told_again_counts_once() -> None:
    node = Node(CRM)
    node.forwarder.refuses = 1
    with pytest.raises(NoLeader):
        await node.gates.told(a_failure(1))
    await node.gates.told(a_failure(1))
    await node.gates.told(a_failure(1))
    assert [command.record_calls.failures for command in node.forwarder.commands] == [1]


async def test_a_failure_that_another_word_brought_along_counts_once() -> None:
    node = Node(CRM)
    node.forwarder.refuses = 1
    told = (node.gates.told(a_failure(1)), node.gates.told(a_failure(2)))
    ends = await asyncio.gather(*told, return_exceptions=True)
    assert [type(end) for end in ends] == [NoLeader, type(None)]
    await node.gates.told(a_failure(1))
    assert sum(one.record_calls.failures for one in node.forwarder.commands) == 2
    await node.gates.told(a_failure(1, token=2))
    assert sum(one.record_calls.failures for one in node.forwarder.commands) == 3


async def test_failures_told_together_are_one_command_after_the_first() -> None:
    node = Node(CRM)
    await asyncio.gather(*(node.gates.told(a_failure(call)) for call in range(10)))
    said = [command.record_calls.failures for command in node.forwarder.commands]
    assert sum(said) == 10
    assert len(said) <= 2
    assert crm(node.replica).trips == 1


async def test_what_could_not_be_said_is_said_by_whoever_counted_on_it() -> None:
    node = Node(CRM)
    node.forwarder.refuses = 1
    told = [node.gates.told(a_failure(call)) for call in range(3)]
    ends = await asyncio.gather(*told, return_exceptions=True)
    assert [type(end) for end in ends] == [NoLeader, type(None), type(None)]
    assert crm(node.replica).trips == 1


async def test_those_who_ask_together_share_a_command() -> None:
    node = Node(FAST)
    names = [f"e{number}" for number in range(1, 11)]
    node.start(*names)
    answers = await asyncio.gather(*(node.ask(name) for name in names))
    assert all(not answer.held and answer.until_boottime_us for answer in answers)
    counts = [command.take_permits.count for command in node.forwarder.commands]
    assert sum(counts) == 10
    assert len(counts) <= 2
    assert node.gates.throttled_s[ENVIRONMENT, "crm"] > 0


async def test_who_would_have_to_wait_long_is_held() -> None:
    node = Node(SLOW)
    node.start("e1", "e2")
    assert (await node.ask("e1")).held == ""
    assert (await node.ask("e2")).held == "rate"


async def test_newcomers_stand_behind_those_that_wait() -> None:
    node = Node(FAST)
    node.start("e1", "e2")
    hold(node.replica, "e1")
    assert (await node.ask("e2")).held == "rate"
    assert node.forwarder.commands == []


async def test_a_copy_that_is_behind_answers_nothing() -> None:
    node = Node(CRM)
    node.start("e1")
    asked = w.GateAsk(environment=ENVIRONMENT, connection="crm", execution="e1", token=99)
    with pytest.raises(Unavailable):
        await node.gates.ask(asked)


def test_the_leaders_clock_is_known_ever_better_until_there_is_another_leader() -> None:
    clock = LeaderClock()
    clock.hear(epoch=1, stamped_us=1_000, asked_us=5_000, answered_us=9_000)
    assert (clock.low_us, clock.high_us) == (4_000, 8_000)
    clock.hear(epoch=1, stamped_us=2_000, asked_us=9_000, answered_us=9_500)
    assert (clock.low_us, clock.high_us) == (7_000, 7_500)
    # Another leader has another clock, also where the bounds of both could be true at once.
    clock.hear(epoch=2, stamped_us=9_000, asked_us=9_000, answered_us=16_200)
    assert (clock.low_us, clock.high_us) == (0, 7_200)


def test_a_clock_that_was_set_is_learned_anew() -> None:
    clock = LeaderClock()
    clock.hear(epoch=1, stamped_us=1_000, asked_us=5_000, answered_us=6_000)
    clock.hear(epoch=1, stamped_us=100_000, asked_us=7_000, answered_us=8_000)
    assert (clock.low_us, clock.high_us) == (-93_000, -92_000)


async def test_a_node_without_a_copy_of_the_state_waits_by_itself_within_the_permit() -> None:
    node = Node(FAST)
    node.start("e1", "e2", "e3")
    remote = RemoteGates(node.gates.of_peer, node.forwarder, Limits())

    async def ask(name: str) -> w.GateAnswer:
        token = node.replica.execution(name).token
        asked = w.GateAsk(environment=ENVIRONMENT, connection="crm", execution=name, token=token)
        return await remote.ask(asked)

    answers = await asyncio.gather(*(ask(name) for name in ("e1", "e2", "e3")))
    assert all(not answer.held and answer.until_boottime_us for answer in answers)
    assert remote.throttled_s[ENVIRONMENT, "crm"] > 0
    hold(node.replica, "e1")
    node.replica.start("e4", version="v2")
    assert (await ask("e4")).held == "rate"
