"""A schedule of a whole run: what must be true of its times, and the person who switches it off.

What must stay true: times are judged as they are committed, in true time; a schedule that fires no
more after all faults are healed is stuck, and nothing here helps it.
"""

from collections.abc import Callable

from molecule.wire.v1 import commands_pb2 as c
from tests.simulation.whole import processes

_DRIFT_MS = 100
"""A clock that nobody corrects for as long as a lease runs ahead by less."""
Missed = Callable[[str, str], None]


class Firings:
    """The times of one schedule with `missed: all`, as the log tells them."""

    def __init__(self, missed: Missed, latest_ms: Callable[[], int]) -> None:
        """`latest_ms`: what the foremost of all wall clocks shows."""
        self._missed = missed
        self._latest_ms = latest_ms
        self._is_on = False
        self._last_ms: int | None = None
        self.count = 0

    def switched(self, word: c.ActivateVersion) -> None:
        """A version was made active, with its trigger on or off."""
        if word.process == processes.TICKS:
            self._is_on = word.trigger_on

    def fired(self, key: str) -> None:
        """An execution of this key was accepted."""
        due_ms = int(key.rpartition("/")[2])
        if not self._is_on:
            self._missed("a trigger that is switched off is silent", key)
        if due_ms > self._latest_ms() + _DRIFT_MS:
            self._missed("no time fires early", f"{key} at {self._latest_ms()}")
        if self._last_ms is not None and due_ms != self._last_ms + processes.TICK_MS:
            self._missed("each time of a schedule fires once", f"{key} behind {self._last_ms}")
        self._last_ms = due_ms
        self.count += 1


class Switch:
    """Whoever switches the schedule off at the end, once it has shown that it still fires."""

    def __init__(self, firings: Firings, ask: Callable[[c.Command, Callable[[], None]], None]):
        self._firings = firings
        self._ask = ask
        self._before: int | None = None
        self.is_off = False

    def look(self) -> None:
        """Called again and again when the end has begun."""
        if self._before is None:
            self._before = self._firings.count
        elif self._firings.count > self._before and not self.is_off:
            self._ask(processes.silence(), self._done)

    def _done(self) -> None:
        self.is_off = True
