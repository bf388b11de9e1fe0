"""`schedule`: executions at times of a calendar, each nominal time at most once in the cluster.

The last nominal time that was dealt with is a record of the cluster, committed together with the
execution it caused; a successor on another node goes on behind it. What stays true: time is
cluster time, and a nominal time is the idempotency key of its execution.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from molecule.component.config import Config
from molecule.component.contract import (
    TRIGGER_PROPERTY,
    GroupRecord,
    SubmissionRefused,
    TriggerContext,
    TriggerSubmission,
)
from molecule.component.registry import trigger
from molecule.component.spec import Example, Field, Spec
from molecule.config import Limits
from molecule.model.document import Document
from molecule.model.errors import InvalidConfig, StepError
from molecule.model.ids import DocumentId
from molecule.triggers.nominal_times import Cron, NominalTimes, Periods, local_date, newest

_log = structlog.get_logger()

_MISSED: Final = ("skip", "once", "all")
_LOOK_S: Final = 30.0
"""How long to sleep at most: the cluster's clock may be corrected meanwhile."""
_LEAST_S: Final = 0.001
_PERIOD_MS_MIN: Final = 1_000


@trigger(
    "schedule",
    Spec(
        summary="Submit one execution at each time of a calendar.",
        fields={
            "cron": Field.text(
                "Minute, hour, day, month, weekday, as in cron: `0 2 * * 1-5`; or use `every`.",
                required=False,
            ),
            "every": Field.duration(
                "A period, counted from 1970 in UTC: `15m`; at least a second; or use `cron`."
            ),
            "zone": Field.text("Time zone whose clocks count.", default="UTC"),
            "missed": Field.choice(
                "What to do about times that passed while nothing could fire: "
                "skip: nothing; once: the last of them; all: each of them.",
                _MISSED,
                default="once",
            ),
            "late_after": Field.duration(
                "A time that could not fire for so long is missed.", default="1m"
            ),
            "calendar": Field.table(
                "A table whose first column holds days (`2026-12-25`) on which nothing fires.",
                required=False,
            ),
            "input": Field.any("The document that each execution gets.", default={}),
        },
        runs_always=True,
        errors="None of its own: nothing outside is asked.",
        across_failover=(
            "The successor fires what fell due meanwhile, by `missed`; no time fires twice."
        ),
        example=Example(
            config="""
                type: schedule
                cron: "30 2 * * 1-5"
                zone: Europe/Berlin
                missed: once
                input: {report: daily}
            """,
        ),
    ),
)
class Schedule:
    """Runs on one node; sleeps until the next nominal time."""

    def __init__(self, config: Config) -> None:
        self._zone = _zone(config.text("zone"))
        self._times, self._name = _times(config, self._zone)
        self._missed = config.text("missed")
        self._late_ms = config.duration_ms("late_after")
        self._calendar = config.optional_text("calendar")
        self._input = config.anything("input")
        self._missed_max = Limits().schedule_missed_max

    async def run(self, context: TriggerContext) -> None:
        """Fire what is due and sleep, until cancelled."""
        days_off = _days_off(context, self._calendar)
        group = f"{context.environment}/{context.process}/schedule"
        through_ms = await self._begin(context, group)
        while True:
            now_ms = context.now_ms()
            # Far back this takes a while, and the executions of this worker must not wait for it.
            due = await asyncio.to_thread(self._due, through_ms, now_ms)
            for at_ms in due:
                if local_date(at_ms, self._zone) not in days_off:
                    await self._fire(context, group, at_ms)
            through_ms = max(through_ms, now_ms)
            coming_ms = next(self._times.after(through_ms), None)
            wait_s = _LOOK_S if coming_ms is None else (coming_ms - context.now_ms()) / 1000
            await context.wait(min(max(wait_s, _LEAST_S), _LOOK_S))

    async def _begin(self, context: TriggerContext, group: str) -> int:
        """The instant behind which nominal times count, as recorded, or from the start on."""
        known = await context.group(group)
        if known.known and known.name == self._name:
            # What passed while the trigger was switched off was not missed.
            return max(known.through, context.on_since_ms)
        # A calendar that is new, or another than before, has missed nothing yet.
        begin_ms = max(known.through, context.activated_at_ms)
        await context.submit((), GroupRecord(group, self._name, begin_ms, closed=False))
        return begin_ms

    def _due(self, through_ms: int, now_ms: int) -> Sequence[int]:
        """Nominal times to fire now, in order."""
        found = newest(self._times, through_ms, now_ms, self._missed_max)
        late = [at_ms for at_ms in found if now_ms - at_ms > self._late_ms]
        in_time = found[len(late) :]
        match self._missed:
            case "all":
                wanted = found
            case "once":
                wanted = [*late[-1:], *in_time]
            case _:
                wanted = in_time
        if len(wanted) < len(found) or len(found) == self._missed_max:
            _log.warning(
                "schedule_missed",
                schedule=self._name,
                dropped=len(found) - len(wanted),
                kept=len(wanted),
                first_ms=found[0],
            )
        return wanted

    async def _fire(self, context: TriggerContext, group: str, at_ms: int) -> None:
        nominal = datetime.fromtimestamp(at_ms / 1000, UTC)
        told = {
            "name": "schedule",
            "nominal": nominal.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "date": local_date(at_ms, self._zone).isoformat(),
            "zone": str(self._zone),
        }
        key = f"{group}/{at_ms}"
        document = Document(
            DocumentId(f"{group}/{at_ms}/0"), self._input, properties={TRIGGER_PROPERTY: told}
        )
        record = GroupRecord(group, self._name, at_ms, closed=False)
        try:
            stamp = context.door.stamp((document,), now_ms=at_ms)
            asked = TriggerSubmission((document,), key, stamp)
            await context.submit((asked,), record)
        except (StepError, SubmissionRefused) as error:
            # It will be refused each time; the times behind it must not wait for it.
            _log.warning("schedule_refused", schedule=key, error=str(error))
            await context.submit((), record)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidConfig(
            f"zone: there is no time zone {name!r}; name one such as Europe/Berlin or UTC"
        ) from None


def _times(config: Config, zone: ZoneInfo) -> tuple[NominalTimes, str]:
    """The calendar, and the text by which a changed one is known."""
    cron = config.optional_text("cron")
    if (cron is None) is not config.has("every"):
        raise InvalidConfig("cron: give either cron or every, and not both")
    if cron is not None:
        return Cron(cron, zone), f"cron {' '.join(cron.split())} {zone}"
    period_ms = config.duration_ms("every")
    if period_ms < _PERIOD_MS_MIN:
        raise InvalidConfig("every: must be at least 1s")
    return Periods(period_ms), f"every {period_ms}ms"


def _days_off(context: TriggerContext, name: str | None) -> frozenset[date]:
    if name is None:
        return frozenset()
    table = context.tables.get(name)
    if table is None:
        raise InvalidConfig(f"calendar: there is no table {name}")
    try:
        return frozenset(date.fromisoformat(day.strip()) for day in table.rows)
    except ValueError as error:
        raise InvalidConfig(f"calendar: table {name}: {error}; days are YYYY-MM-DD") from None
