"""`schedule`: nominal times through changes of node, of clocks and of the calendar itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molecule.component.contract import (
    GroupRecord,
    SubmissionRefused,
    Table,
    Trigger,
    TriggerSubmission,
)
from molecule.config import Limits
from molecule.definition.parse import parse_process
from molecule.triggers.nominal_times import Cron, Periods, between, newest
from tests.components.calls import REGISTRY
from tests.components.files import Cluster, Context, Died, Idle

HOUR_MS = 3_600_000
START = "2026-03-28T00:00:00"


def at(text: str) -> int:
    """An instant in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def parsed(**fields: str) -> Any:
    body = "\n".join(f"  {name}: {value}" for name, value in fields.items())
    text = (
        f"molecule: 1\nprocess: late\ntrigger:\n  type: schedule\n{body}\n"
        "steps: [{id: a, type: stop}]\n"
    )
    return parse_process(text.encode(), "p.yaml", REGISTRY, Limits())


def a_trigger(**fields: str) -> Trigger:
    found = parsed(**fields)
    assert found.definition is not None, [str(finding) for finding in found.findings]
    made: Trigger = found.definition.trigger.component
    return made


@dataclass
class World:
    """A cluster and its time; each `live` is one life of the trigger on some node."""

    cluster: Cluster
    now_ms: int = at(START)
    activated_at_ms: int = at(START)
    on_since_ms: int = at(START)
    tables: dict[str, Table] | None = None

    async def live(self, trigger: Trigger, *, rounds: int = 1, dies_at: int = -1) -> Context:
        context = Context(
            self.cluster,
            None,
            rounds=rounds,
            dies_at=dies_at,
            clock_ms=self.now_ms,
            activated_at_ms=self.activated_at_ms,
            on_since_ms=self.on_since_ms,
            tables=self.tables or {},
        )
        try:
            await trigger.run(context)
        except* (Idle, Died):
            pass
        self.now_ms = context.clock_ms
        return context

    def pass_hours(self, hours: float) -> None:
        self.now_ms += int(hours * HOUR_MS)

    @property
    def fired(self) -> list[str]:
        return [
            submission.documents[0].properties["trigger"]["nominal"]
            for submission in self.cluster.executions.values()
        ]


async def test_each_nominal_time_is_one_execution_with_its_key() -> None:
    world = World(Cluster())
    await world.live(a_trigger(every="1h"), rounds=400)
    assert world.fired[:2] == ["2026-03-28T01:00:00Z", "2026-03-28T02:00:00Z"]
    assert next(iter(world.cluster.executions)) == f"dev/late/schedule/{at('2026-03-28T01:00:00')}"
    assert world.cluster.groups["dev/late/schedule"].closed is False


async def test_the_execution_gets_the_input_and_knows_its_time() -> None:
    world = World(Cluster())
    trigger = a_trigger(cron='"30 9 * * *"', zone="Europe/Berlin", input="{report: daily}")
    world.pass_hours(8.5)
    world.activated_at_ms = world.now_ms - 60_000
    await world.live(trigger)
    (submission,) = world.cluster.executions.values()
    (document,) = submission.documents
    assert document.value == {"report": "daily"}
    assert document.properties["trigger"] == {
        "name": "schedule",
        "nominal": "2026-03-28T08:30:00Z",
        "date": "2026-03-28",
        "zone": "Europe/Berlin",
    }


@pytest.mark.parametrize("dies_at", range(12))
async def test_a_life_that_ends_anywhere_neither_loses_nor_repeats_a_time(dies_at: int) -> None:
    world = World(Cluster())
    trigger = a_trigger(every="1h", missed="all")
    await world.live(trigger)
    world.pass_hours(3)
    await world.live(trigger, dies_at=dies_at)
    await world.live(trigger)
    assert world.fired == [f"2026-03-28T0{hour}:00:00Z" for hour in (1, 2, 3)]


@pytest.mark.parametrize(
    ("missed", "fired"),
    [
        ("skip", []),
        ("once", ["2026-03-28T05:00:00Z"]),
        ("all", [f"2026-03-28T0{hour}:00:00Z" for hour in range(1, 6)]),
    ],
)
async def test_what_passed_while_nothing_could_fire_goes_by_the_policy(
    missed: str, fired: list[str]
) -> None:
    world = World(Cluster())
    trigger = a_trigger(every="1h", missed=missed)
    await world.live(trigger)
    world.pass_hours(5.5)
    await world.live(trigger)
    assert world.fired == fired
    await world.live(trigger)
    assert world.fired == fired, "and is dealt with"


@pytest.mark.parametrize("missed", ["skip", "once", "all"])
async def test_a_time_that_is_late_by_a_failover_only_fires_in_any_case(missed: str) -> None:
    world = World(Cluster())
    trigger = a_trigger(every="1h", missed=missed)
    await world.live(trigger)
    world.now_ms = at("2026-03-28T01:00:20")
    await world.live(trigger)
    assert world.fired == ["2026-03-28T01:00:00Z"]


async def test_times_while_the_trigger_was_off_were_not_missed() -> None:
    world = World(Cluster())
    trigger = a_trigger(every="1h", missed="all")
    await world.live(trigger)
    world.pass_hours(10.5)
    world.on_since_ms = world.now_ms
    world.pass_hours(1)
    await world.live(trigger)
    assert world.fired == ["2026-03-28T11:00:00Z"]


async def test_a_changed_calendar_has_missed_nothing_of_its_own() -> None:
    world = World(Cluster())
    await world.live(a_trigger(cron='"0 0 1 1 *"', missed="all"))
    world.pass_hours(10.5)
    world.activated_at_ms = world.now_ms
    await world.live(a_trigger(every="1h", missed="all"))
    assert world.fired == []
    world.pass_hours(1)
    await world.live(a_trigger(every="1h", missed="all"))
    assert world.fired == ["2026-03-28T11:00:00Z"]


async def test_the_same_calendar_in_another_version_goes_on_where_it_was() -> None:
    world = World(Cluster())
    await world.live(a_trigger(every="1h", missed="all"))
    world.pass_hours(2.5)
    world.activated_at_ms = world.now_ms
    await world.live(a_trigger(every="1h", missed="all", input="{other: 1}"))
    assert world.fired == ["2026-03-28T01:00:00Z", "2026-03-28T02:00:00Z"]


async def test_nothing_fires_on_the_days_of_the_calendar() -> None:
    table = Table("holidays", ("day",), {"2026-03-28": {"day": "2026-03-28"}})
    world = World(Cluster(), tables={"holidays": table})
    trigger = a_trigger(every="12h", missed="all", zone="Europe/Berlin")
    trigger._calendar = "holidays"  # type: ignore[attr-defined]
    await world.live(trigger)
    world.pass_hours(30)
    await world.live(trigger)
    assert world.fired == ["2026-03-29T00:00:00Z"]


class Full(Cluster):
    """Refuses what is due at one o'clock for ever."""

    def take(self, submissions: Sequence[TriggerSubmission], group: GroupRecord | None) -> None:
        refused = [one for one in submissions if one.idempotency_key.endswith(str(ONE_O_CLOCK))]
        super().take([one for one in submissions if one not in refused], group)
        if refused:
            raise SubmissionRefused("limit_exceeded", "too many")


ONE_O_CLOCK = at("2026-03-28T01:00:00")


async def test_a_time_that_is_refused_does_not_hold_up_the_next() -> None:
    world = World(Full())
    trigger = a_trigger(every="1h", missed="all")
    await world.live(trigger)
    world.pass_hours(2)
    await world.live(trigger)
    assert world.fired == ["2026-03-28T02:00:00Z"]


async def test_more_missed_times_than_the_bound_keep_the_newest() -> None:
    world = World(Cluster())
    trigger = a_trigger(every="1s", missed="all")
    await world.live(trigger)
    world.pass_hours(1)
    await world.live(trigger)
    assert len(world.fired) == Limits().schedule_missed_max, world.fired[:3]
    assert world.fired[-1] == "2026-03-28T01:00:01Z"


# --- clocks that change ------------------------------------------------------------------------

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("cron", "day", "expected"),
    [
        # In spring 02:30 does not exist: it fires once, when the clock has jumped.
        ("30 2 * * *", "2026-03-29", ["2026-03-29T01:00:00"]),
        # In autumn 02:30 comes twice: it fires once.
        ("30 2 * * *", "2026-10-25", ["2026-10-25T00:30:00"]),
        # What runs every hour runs every hour.
        (
            "30 * * * *",
            "2026-10-25",
            [f"2026-10-24T{hour}:30:00" for hour in (22, 23)]
            + [f"2026-10-25T{hour:02}:30:00" for hour in range(23)],
        ),
        (
            "30 * * * *",
            "2026-03-29",
            ["2026-03-28T23:30:00"] + [f"2026-03-29T{hour:02}:30:00" for hour in range(22)],
        ),
    ],
)
def test_days_on_which_clocks_change(cron: str, day: str, expected: list[str]) -> None:
    zone = ZoneInfo(BERLIN)
    begin = datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=zone)
    end = datetime.fromisoformat(f"{day}T23:59:59").replace(tzinfo=zone)
    found = between(
        Cron(cron, zone), int(begin.timestamp() * 1000) - 1, int(end.timestamp() * 1000)
    )
    told = [datetime.fromtimestamp(ms / 1000, UTC).isoformat()[:19] for ms in found]
    assert told == expected


def test_begun_in_the_hour_that_a_clock_shows_twice_no_time_comes_again() -> None:
    """A successor that begins between 02:00 and 03:00 of winter time, behind 02:30 of summer."""
    times = Cron("30 2 * * *", ZoneInfo(BERLIN))
    assert next(times.after(at("2026-10-25T00:29:00"))) == at("2026-10-25T00:30:00")
    assert next(times.after(at("2026-10-25T01:15:00"))) == at("2026-10-26T01:30:00")


ZONES = st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
CRONS = st.sampled_from(
    ["30 2 * * *", "*/7 * * * *", "0 */3 * * *", "15 1,2,3 * * *", "0 0 1 * *", "5 4 * * sun"]
)


@settings(deadline=None, max_examples=60)
@given(CRONS, ZONES, st.integers(0, 400 * 24 * 60), st.lists(st.integers(1, 3000), max_size=12))
def test_looking_in_any_steps_finds_each_time_once(
    cron: str, zone: str, begin_min: int, steps_min: list[int]
) -> None:
    """A leader change, a restart, a new node: each looks from where the one before stood."""
    times = Cron(cron, ZoneInfo(zone))
    start = at("2026-01-01T00:00:00") + begin_min * 60_000
    looked: list[int] = []
    here = start
    for step in steps_min:
        looked += between(times, here, here + step * 60_000)
        here += step * 60_000
    assert looked == list(between(times, start, here))
    assert looked == sorted(set(looked))


@settings(deadline=None, max_examples=60)
@given(CRONS, ZONES, st.integers(1, 40), st.integers(0, 20_000))
def test_the_newest_are_the_last_of_all(cron: str, zone: str, count: int, length_min: int) -> None:
    times = Cron(cron, ZoneInfo(zone))
    begin = at("2026-03-20T00:00:00")
    end = begin + length_min * 60_000
    assert newest(times, begin, end, count) == list(between(times, begin, end))[-count:]


def test_a_date_that_never_comes_is_no_endless_search() -> None:
    assert next(Periods(1000).after(1)) == 1000
    assert next(Cron("0 0 29 2 *", ZoneInfo("UTC")).after(at("2026-03-01T00:00:00"))) == at(
        "2028-02-29T00:00:00"
    )


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({}, "either cron or every"),
        ({"cron": '"0 2 * * *"', "every": "1h"}, "either cron or every"),
        ({"cron": '"61 2 * * *"'}, "is no cron expression"),
        ({"cron": '"0 2 * *"'}, "five fields"),
        ({"cron": '"0 0 30 2 *"'}, "is no cron expression"),
        ({"every": "10ms"}, "at least 1s"),
        ({"every": "1h", "zone": "Mars/Olympus"}, "there is no time zone"),
        ({"every": "1h", "zone": "../../etc/passwd"}, "there is no time zone"),
        ({"every": "1h", "missed": "never"}, "skip"),
    ],
)
def test_a_bad_schedule_says_what_is_wrong(fields: dict[str, str], what: str) -> None:
    found = parsed(**fields)
    told = " ".join(str(finding) for finding in found.findings)
    assert what in told
