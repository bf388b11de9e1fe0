"""What ends a run of the demo from outside: Ctrl-C, a closed terminal, `kill`.

The first signal cancels the run, which then stops all that it started. What must stay true: no
later signal breaks that off, for whoever presses Ctrl-C closes the terminal a moment later, too.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Of one run."""

    def __init__(self, on_first: Callable[[], None]) -> None:
        self._on_first = on_first
        self.first: signal.Signals | None = None
        """The signal that ended the run, if one did."""

    @contextlib.contextmanager
    def cancelling(self) -> Iterator[None]:
        """Cancel the task that is inside at the first signal. Only in the main thread."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        # `nohup` says that a closed terminal shall end nothing.
        heard = [each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
        for number in heard:
            loop.add_signal_handler(number, self._heard, number, task)
        try:
            yield
        finally:
            for number in heard:
                loop.remove_signal_handler(number)

    def _heard(self, number: signal.Signals, task: "asyncio.Task[object] | None") -> None:
        if self.first is None and task is not None:
            self.first = number
            task.cancel()
            self._on_first()
