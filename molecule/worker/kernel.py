"""The lease, enforced by the kernel: it needs neither this process's loop nor its interpreter lock.

A one-shot interval timer is armed to the end of the lease and pushed back by each renewal;
SIGALRM has its default action, so a process that slept past its lease dies before it executes
anything. What must stay true: the timer is armed before the first execution runs, and a lease
never goes back.
"""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


class Fenced(BaseException):
    """Lease or token are gone: nothing may be sent any more.

    No Exception, so that a component that catches everything cannot swallow it.
    """


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; at once if that has happened."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the parent-death signal cannot be set")
    # Between our start and that call the parent may have gone unnoticed.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def boottime_us() -> int:
    """The clock of leases: it goes on while the machine is suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000


class KernelTimer:
    """The one-shot timer of this process; it fires although the process is stopped."""

    def prepare(self) -> None:
        """Give SIGALRM its default action, whatever was inherited; once, at the start."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})

    def set(self, seconds: float) -> None:
        """Fire so much later, in place of what was set before; more than 0."""
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def fire(self) -> None:
        """Fire now."""
        os.kill(os.getpid(), signal.SIGALRM)


class Lease:
    """Until when this process may run what it holds. Changed by `renew` only."""

    def __init__(
        self, now_us: Callable[[], int] = boottime_us, timer: KernelTimer | None = None
    ) -> None:
        self._now_us = now_us
        self._timer = timer or KernelTimer()
        self.until_us = 0

    @property
    def is_held(self) -> bool:
        """True while the lease lasts; asked directly before every send."""
        return self._now_us() < self.until_us

    def arm(self) -> None:
        """Make the timer ready; once, at the start."""
        self._timer.prepare()

    def renew(self, until_us: int) -> None:
        """Run until then; an earlier end than the known one changes nothing."""
        if until_us <= self.until_us:
            return
        left_us = until_us - self._now_us()
        if left_us <= 0:
            # Zero would disarm the timer instead of firing it.
            self._timer.fire()
            return
        self.until_us = until_us
        self._timer.set(left_us / 1_000_000)

    def check(self) -> None:
        """Raises `Fenced` when the lease is over."""
        if not self.is_held:
            raise Fenced


def resident_bytes() -> int:
    """Memory of this process that is not swapped out."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - read four times a second
        return int(file.read().split()[1]) * _PAGE_BYTES


_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
