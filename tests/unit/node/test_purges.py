"""What the leader decides to purge: by age, by size, and early when room is scarce."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from molecule.cluster.outcome import Applied, Outcome
from molecule.config import Limits, Retention
from molecule.model.disk import Level
from molecule.model.errors import NoLeader, OutcomeUnknown
from molecule.model.retention import RetentionClass
from molecule.node.purges import Purges
from molecule.storage.sweeping import Usage
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import NOW_MS, Replica, stored

DAY_MS = 86_400_000
COMPLETED = RetentionClass.COMPLETED_DOCUMENTS
FAILED = RetentionClass.FAILED_DOCUMENTS


@dataclass
class Shelf:
    """Ends of each class, and what the classes take."""

    ends: dict[RetentionClass, list[int]] = field(default_factory=dict)
    used: list[Usage] = field(default_factory=list)

    async def oldest(
        self, name: RetentionClass, *, from_ms: int, before_ms: int, count: int
    ) -> int | None:
        found = [at_ms for at_ms in sorted(self.ends.get(name, [])) if from_ms <= at_ms < before_ms]
        return found[:count][-1] if found else None

    async def usage(self) -> Sequence[Usage]:
        return self.used


class Bench:
    """Purges over a replica that commits at once."""

    def __init__(self, shelf: Shelf, **settings: int) -> None:
        self.replica = Replica()
        self.now_ms = NOW_MS + 100 * DAY_MS
        self.replica.at_ms = self.now_ms
        self.said: list[wire.PurgeEnded] = []
        self.leads_for = 1_000
        self.purges = Purges(
            state=lambda: self.replica.state,
            store=shelf,
            propose=self._propose,
            now_ms=lambda: self.now_ms,
            settings=Retention(**settings),
            limits=Limits(purge_command_executions_max=2),
        )
        self.purges.usage = shelf.used

    async def _propose(self, commands: Sequence[wire.Command]) -> Sequence[Outcome]:
        if len(self.said) == self.leads_for:
            raise NoLeader("deposed")
        self.said.extend(command.purge_ended for command in commands)
        return self.replica.commit(*commands).outcomes


async def test_what_is_older_than_its_time_is_due() -> None:
    ended = NOW_MS + 90 * DAY_MS
    bench = Bench(Shelf({COMPLETED: [ended], FAILED: [ended]}))
    assert await bench.purges.due(Level.ROOMY) == {COMPLETED: bench.now_ms - 7 * DAY_MS}


async def test_nothing_is_due_where_nothing_is_there() -> None:
    bench = Bench(Shelf())
    assert await bench.purges.due(Level.NO_SUBMISSIONS) == {}


async def test_a_class_that_is_too_large_loses_a_tenth_of_its_oldest() -> None:
    ends = [NOW_MS + 99 * DAY_MS + number for number in range(30)]
    used = [Usage("timelines", 30, 10**6), Usage("dead_letters", 10**6, 10**15)]
    bench = Bench(Shelf({RetentionClass.TIMELINES: ends}, used), timelines_bytes_max=100_000)
    assert await bench.purges.due(Level.ROOMY) == {RetentionClass.TIMELINES: ends[2] + 1}


async def test_when_room_is_scarce_the_oldest_documents_go_before_their_time() -> None:
    ends = [NOW_MS + 99 * DAY_MS + number for number in range(5)]
    bench = Bench(Shelf({COMPLETED: ends, FAILED: ends}))
    assert await bench.purges.due(Level.PURGE_EARLY) == {COMPLETED: ends[1] + 1}


async def test_an_early_purge_takes_other_classes_when_the_first_has_nothing() -> None:
    ends = [NOW_MS + 99 * DAY_MS]
    bench = Bench(Shelf({FAILED: ends}))
    assert await bench.purges.due(Level.NO_DOCUMENTS) == {FAILED: ends[0] + 1}


async def test_an_early_purge_leaves_what_ended_a_moment_ago_and_all_history() -> None:
    bench = Bench(Shelf())
    shelf = Shelf(
        {
            COMPLETED: [bench.now_ms - 1_000],
            RetentionClass.HISTORY: [bench.now_ms - 10 * DAY_MS],
        }
    )
    assert await Bench(shelf).purges.due(Level.NO_SUBMISSIONS) == {}


async def test_it_goes_on_in_slices_until_nothing_is_left() -> None:
    bench = Bench(Shelf())
    for number in range(5):
        token = bench.replica.start(f"e{number}", input=stored(f"d{number}"))
        bench.replica.end(f"e{number}", token)
    bench.replica.at_ms = bench.now_ms + 1
    command = wire.PurgeEnded(epoch=bench.replica.state.epoch)
    released = await bench.purges.carry_out(command, {COMPLETED: bench.now_ms + 1})
    assert released == 5
    assert len(bench.said) == 3
    assert bench.replica.state.documents == {}


async def test_a_purge_that_breaks_off_is_definite_only_before_its_first_part() -> None:
    bench = Bench(Shelf())
    for number in range(5):
        token = bench.replica.start(f"e{number}", input=stored(f"d{number}"))
        bench.replica.end(f"e{number}", token)
    bench.replica.at_ms = bench.now_ms + 1
    horizons = {COMPLETED: bench.now_ms + 1}
    bench.leads_for = 0
    with pytest.raises(NoLeader):
        await bench.purges.carry_out(wire.PurgeEnded(epoch=bench.replica.state.epoch), horizons)
    bench.leads_for = 1
    with pytest.raises(OutcomeUnknown):
        await bench.purges.carry_out(wire.PurgeEnded(epoch=bench.replica.state.epoch), horizons)
    assert len(bench.said) == 1


async def test_a_refused_command_ends_the_round() -> None:
    bench = Bench(Shelf())
    released = await bench.purges.carry_out(wire.PurgeEnded(epoch=99), {COMPLETED: 1})
    assert released == 0
    assert len(bench.said) == 1
    assert not isinstance(bench.replica.say(purge_ended=bench.said[0]), Applied)
