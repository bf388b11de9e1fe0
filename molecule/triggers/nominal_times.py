"""When a schedule is due: nominal times, as instants in milliseconds of the calendar.

Cron expressions are counted in a time zone by a library that keeps Debian's rules on the days on
which clocks change; a period is counted from 1970. What stays true: equal schedules give equal
instants, wherever and whenever they are asked.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import count, takewhile
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from molecule.model.errors import InvalidConfig

_SPAN_MS = 3_600_000
"""How far to look back first; doubled until enough was found."""


class NominalTimes(Protocol):
    """What a schedule fires at."""

    def after(self, instant_ms: int) -> Iterator[int]:
        """The nominal times behind an instant, in order; ends when there is none for ever."""
        ...


@dataclass(frozen=True, slots=True)
class Periods:
    """Every so many milliseconds, counted from 1970 in UTC."""

    period_ms: int

    def after(self, instant_ms: int) -> Iterator[int]:
        """The next full periods."""
        return count((instant_ms // self.period_ms + 1) * self.period_ms, self.period_ms)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression in a time zone."""

    text: str
    zone: ZoneInfo

    def __post_init__(self) -> None:
        """Raises `InvalidConfig` for what is no cron expression."""
        if len(self.text.split()) != 5:
            raise InvalidConfig(
                f"cron: {self.text!r} must have five fields: minute hour day month weekday"
            )
        try:
            CronSim(self.text, datetime(2000, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            raise InvalidConfig(f"cron: {self.text!r} is no cron expression: {error}") from None

    def after(self, instant_ms: int) -> Iterator[int]:
        """The next nominal times by the clocks of the zone."""
        begin = datetime.fromtimestamp(instant_ms / 1000, UTC).astimezone(self.zone)
        for at in CronSim(self.text, begin):
            at_ms = int(at.timestamp() * 1000)
            # In the hour that a clock shows twice the library may give the first one again.
            if at_ms > instant_ms:
                instant_ms = at_ms
                yield at_ms


def local_date(instant_ms: int, zone: ZoneInfo) -> date:
    """The day that the clocks of a zone show."""
    return datetime.fromtimestamp(instant_ms / 1000, UTC).astimezone(zone).date()


def between(times: NominalTimes, after_ms: int, until_ms: int) -> Iterator[int]:
    """Nominal times behind `after_ms` up to and including `until_ms`, in order."""
    return takewhile(lambda at_ms: at_ms <= until_ms, times.after(after_ms))


def newest(times: NominalTimes, after_ms: int, until_ms: int, count_max: int) -> list[int]:
    """The last `count_max` nominal times of the interval, in order."""
    span_ms = _SPAN_MS
    while True:
        begin_ms = max(after_ms, until_ms - span_ms)
        found = deque(between(times, begin_ms, until_ms), maxlen=count_max)
        if len(found) == count_max or begin_ms == after_ms:
            return list(found)
        span_ms *= 2
