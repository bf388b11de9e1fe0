"""Turns among processes: nobody starves, and weights are honoured within a turn."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from molecule.cluster.apply import StateMachine
from molecule.cluster.outcome import is_applied
from molecule.config import Limits, Timing
from molecule.model.ids import ExecutionId
from molecule.scheduler.liveness import Liveness
from molecule.scheduler.plan import Moment, plan
from molecule.wire.v1 import commands_pb2 as wire
from tests.properties import logs

_BACKLOG = 60


class Shop:
    """A cluster of one node whose processes all have more to do than will ever run."""

    def __init__(self, weights: dict[str, int], *, slots: int) -> None:
        self.machine = StateMachine()
        self.starts: list[str] = []
        self.say(claim_leadership=wire.ClaimLeadership(node="n1"))
        self.say(put_environment=wire.PutEnvironment(environment="test", digest="1"))
        self.say(register_node=wire.RegisterNode(node="n1", life="1", slots=slots))
        for process, weight in weights.items():
            options = wire.VersionOptions(share=weight)
            self.say(put_version=wire.PutVersion(process=process, version="v", options=options))
            self.say(
                activate_version=wire.ActivateVersion(
                    environment="test", process=process, version="v"
                )
            )

    def say(self, **kind: object) -> None:
        command = wire.Command(version=1, **kind)  # type: ignore[arg-type]  # one of its kinds
        result = self.machine.apply_entry(
            self.machine.index + 1, 1, logs.entry(logs.START_MS, command)
        )
        assert is_applied(result.outcomes[0]), (command, result.outcomes)

    def submit(self, process: str, count: int, *, priority: int = 0) -> None:
        for _ in range(count):
            number = self.machine.state.totals["accepted"]
            self.say(
                submit_execution=wire.SubmitExecution(
                    execution=f"e{number}",
                    idempotency_key=f"k{number}",
                    environment="test",
                    process=process,
                    priority=priority,
                )
            )

    def plan(self) -> None:
        """Fill every free slot."""
        state = self.machine.state
        liveness = Liveness()
        liveness.notice(state, now_ms=0)
        moment = Moment(0, state.time_ms)
        for item in plan(state, liveness, moment, timing=Timing(), limits=Limits()):
            started = ExecutionId(item.command.assign_execution.execution)
            self.starts.append(str(state.executions[started].process))
            self.say(assign_execution=item.command.assign_execution)

    def end(self, number: int) -> None:
        """One of those that run ends."""
        held = sorted(self.held())
        name = held[number % len(held)]
        token = self.machine.state.executions[ExecutionId(name)].token
        self.say(end_attempt=wire.EndAttempt(execution=name, token=token, state="COMPLETED"))

    def held(self) -> list[str]:
        return [str(item) for node in self.machine.state.nodes.values() for item in node.held]


WEIGHTS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5), min_size=2, max_size=4)


@settings(max_examples=15, deadline=None)
@given(WEIGHTS)
def test_turns_at_a_single_slot_follow_the_weights_within_one(weights: dict[str, int]) -> None:
    shop = Shop(weights, slots=1)
    for process in weights:
        shop.submit(process, _BACKLOG)
    for _ in range(_BACKLOG):
        shop.plan()
        shop.end(0)
        turns = Counter(shop.starts)
        whole = len(shop.starts) / sum(weights.values())
        for process, weight in weights.items():
            assert abs(turns[process] - whole * weight) <= weight + 1, (process, turns, weights)


@settings(max_examples=15, deadline=None)
@given(WEIGHTS, st.integers(1, 6), st.lists(st.integers(0, 5), min_size=40, max_size=40))
def test_nobody_with_less_than_its_part_is_passed_over_longer_than_weights_say(
    weights: dict[str, int], slots: int, endings: list[int]
) -> None:
    shop = Shop(weights, slots=slots)
    for process in weights:
        shop.submit(process, _BACKLOG)
    passed: dict[str, Counter[str]] = {process: Counter() for process in weights}
    whole = sum(weights.values())
    for ending in endings:
        before = len(shop.starts)
        shop.plan()
        held = Counter(
            str(shop.machine.state.executions[ExecutionId(name)].process) for name in shop.held()
        )
        for process, weight in weights.items():
            new = Counter(shop.starts[before:])
            has_its_part = held[process] >= slots * weight / whole
            if new[process] or has_its_part:
                passed[process].clear()
                continue
            passed[process].update(new)
            for other, times in passed[process].items():
                allowed = weights[other] / weight + 1 + slots
                assert times <= allowed, (process, other, times, shop.starts)
        shop.end(ending)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 4), st.integers(0, 40))
def test_a_million_pending_do_not_delay_the_first_of_another(slots: int, ahead: int) -> None:
    shop = Shop({"many": 1, "few": 1}, slots=slots)
    shop.submit("many", _BACKLOG)
    for _ in range(ahead):
        shop.plan()
        shop.end(0)
    shop.plan()
    shop.submit("few", 1)
    shop.end(0)
    shop.plan()
    assert shop.starts[-1] == "few"


def test_a_process_that_was_idle_has_saved_no_turns() -> None:
    shop = Shop({"busy": 1, "idle": 1}, slots=1)
    shop.submit("busy", 40)
    for _ in range(20):
        shop.plan()
        shop.end(0)
    shop.submit("idle", 40)
    before = len(shop.starts)
    for _ in range(10):
        shop.plan()
        shop.end(0)
    turns = Counter(shop.starts[before:])
    assert abs(turns["busy"] - turns["idle"]) <= 1


def test_short_work_keeps_its_part_of_the_slots_beside_long_work() -> None:
    shop = Shop({"long": 1, "short": 1}, slots=4)
    shop.submit("long", 40)
    shop.submit("short", 40)
    for _ in range(19):
        shop.plan()
        short = [
            number
            for number, name in enumerate(sorted(shop.held()))
            if shop.machine.state.executions[ExecutionId(name)].process == "short"
        ]
        assert len(short) >= 2
        for number in reversed(short):
            shop.end(number)
    assert Counter(shop.starts)["short"] == 38


def test_higher_priority_goes_first_whatever_the_shares() -> None:
    shop = Shop({"low": 100, "high": 1}, slots=1)
    shop.submit("low", 5)
    shop.submit("high", 3, priority=5)
    for _ in range(5):
        shop.plan()
        shop.end(0)
    assert shop.starts == ["high", "high", "high", "low", "low"]
