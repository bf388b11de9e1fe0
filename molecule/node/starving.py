"""Tells a worker that had no processor from one that is stuck: both miss the renewals of a lease.

What the kernel counts is read by `read`; `Starving` is pure. What stays true: nobody is taken for
starved who used a processor for long, or waited for anything else.
"""

import os
from collections import deque
from dataclasses import dataclass
from typing import Final

_WAITED_PART: Final = 2
"""Starved is who waited for a processor for at least this part of the time looked at: one half,"""
_RAN_PART: Final = 5
"""and ran for at most one fifth of it."""
_LOOKS: Final = 20
"""In one lease."""
_LOOKS_IDLE: Final = 5
"""The same while its node has nothing to do: as few as still tell of every second half of it."""
_SEEN_PART: Final = 4
"""Nothing is said of somebody who was seen for less than this part of a lease."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long the threads of a process ran, and how long they could have run and had to wait."""

    ran_us: int
    waited_us: int


def read(pid: int) -> Times | None:
    """None when the process has ended or the kernel does not count."""
    ran = waited = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names, many times a second
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:  # noqa: PTH123
                its_ran, its_waited, _ = file.read().split()
            ran += int(its_ran)
            waited += int(its_waited)
    except (OSError, ValueError):
        return None
    return Times(ran // 1_000, waited // 1_000)


class Starving:
    """Remembers for each worker what was counted during the last lease."""

    def __init__(self, *, lease_us: int) -> None:
        self._lease_us = lease_us
        self._looked: dict[str, deque[tuple[int, Times]]] = {}

    def is_due(self, worker: str, *, is_idle: bool, now_us: int) -> bool:
        """Whether to look at it again: all its threads are counted, so not more than needed."""
        looked, looks = self._looked.get(worker), _LOOKS_IDLE if is_idle else _LOOKS
        return not looked or now_us - looked[-1][0] >= self._lease_us // looks

    def note(self, worker: str, times: Times, *, now_us: int) -> None:
        """What was counted until now."""
        looked = self._looked.setdefault(worker, deque())
        looked.append((now_us, times))
        while now_us - looked[0][0] > self._lease_us:
            looked.popleft()

    def take_out(self, worker: str, *, now_us: int) -> bool:
        """It died: whether it was starved, or this process was, which could not even look."""
        looked = self._looked.pop(worker, None)
        if looked is None:
            return False
        (began_us, first), (ended_us, last) = looked[0], looked[-1]
        if now_us - ended_us >= self._lease_us // _WAITED_PART:
            return True
        span_us = ended_us - began_us
        if span_us < self._lease_us // _SEEN_PART:
            return False
        waited_us, ran_us = last.waited_us - first.waited_us, last.ran_us - first.ran_us
        return waited_us * _WAITED_PART >= span_us and ran_us * _RAN_PART <= span_us
