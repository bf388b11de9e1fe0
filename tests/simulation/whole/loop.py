"""The event loop of one simulated process: the product's coroutines run on it in virtual time.

Each process has its own, so that a process can be stopped, woken and killed as a whole, and reads
the clock of its machine. What must stay true: nothing of a stopped process runs before it is woken,
nothing of a dead one ever; the order of all that runs follows from the seed.
"""

import asyncio
import contextlib
import contextvars
import random
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from tests.simulation.clock import EventQueue, MemberClock

_TURN_MAX_S = 0.0002
"""A turn begins up to so long after there is something to do, as another process may run."""
_THREAD_S = 0.001
_TASKS_KEPT = 256

Failed = Callable[[str], None]


class _Task(asyncio.Task[Any]):
    """A task whose place in a set follows from its number and not from where it lies in memory."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], number: int, **options: Any) -> None:
        self._sim_number = number
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self._sim_number


class _Future(asyncio.Future[Any]):
    """The same for a future."""

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self._sim_number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._sim_number


class ProcessLoop(asyncio.AbstractEventLoop):
    """One process. `failed` hears of what its coroutines raised and nobody caught."""

    def __init__(
        self,
        name: str,
        queue: EventQueue,
        clock: MemberClock,
        rng: random.Random,
        *,
        failed: Failed,
        wall_off_s: float = 0.0,
    ) -> None:
        self._wall_off_s = wall_off_s
        self.name = name
        self.rng = rng
        self.clock = clock
        self.is_stopped = False
        self.is_dead = False
        self.after_turn: Callable[[], None] = lambda: None
        self._queue = queue
        self._failed = failed
        self._ready: deque[asyncio.Handle] = deque()
        self._turn_is_due = False
        self._number = 0
        # Of a dead process nothing may be cleaned up by the interpreter: it had no time to.
        self._tasks: list[_Task] = []
        self._tasks_max = _TASKS_KEPT
        self._generators: list[Any] = []

    # What faults do to it.

    def stop(self) -> None:
        """SIGSTOP."""
        self.is_stopped = True

    def resume(self) -> None:
        """SIGCONT: everything that came meanwhile is there at once."""
        self.is_stopped = False
        self._wake()

    def kill(self) -> None:
        """Nothing of it runs any more."""
        self.is_dead = True
        self._ready.clear()

    def wall_s(self) -> float:
        """The wall clock of its machine, from the beginning of the run."""
        return self._queue.now_s + self._wall_off_s

    def bury(self) -> None:
        """The run is over: close what a dead process left half way, and let nothing come of it.

        Left to the collector it would happen anywhere, and be told as errors of whoever runs then.
        """
        self.kill()
        for task in self._tasks:
            coroutine = task.get_coro()
            if not task.done() and coroutine is not None:
                with contextlib.suppress(BaseException):
                    coroutine.close()
        for generator in self._generators:
            with contextlib.suppress(BaseException):
                generator.aclose().send(None)
        self._ready.clear()

    # What the world does.

    def post(self, action: Callable[..., object], *args: object) -> None:
        """Have the process do something when it is awake; from outside."""
        if not self.is_dead:
            self._ready.append(asyncio.Handle(action, args, self))
            self._wake()

    def start(
        self, main: Coroutine[Any, Any, Any], ended: Callable[[BaseException | None], None]
    ) -> None:
        """Run the process; `ended` when its main function returns or raises."""

        def done(task: asyncio.Task[Any]) -> None:
            ended(None if task.cancelled() else task.exception())

        self.create_task(main).add_done_callback(done)

    def _wake(self) -> None:
        if self._turn_is_due or self.is_stopped or self.is_dead or not self._ready:
            return
        self._turn_is_due = True
        self._queue.after(self.rng.random() * _TURN_MAX_S, self._turn)

    def _turn(self) -> None:
        self._turn_is_due = False
        if self.is_dead or self.is_stopped:
            return
        ready = self._ready
        with self.entered():
            for _ in range(len(ready)):
                handle = ready.popleft()
                if not handle._cancelled:
                    handle._run()
                if self._is_held():
                    break
        self.after_turn()
        self._wake()

    def _is_held(self) -> bool:
        return self.is_dead or self.is_stopped

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Within it the process runs: its clock is the time, and it is the running loop."""
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(self._generators.append, _nothing)
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            yield
        finally:
            asyncio._set_running_loop(outer)
            sys.set_asyncgen_hooks(*hooks)

    def _due(self, timer: asyncio.TimerHandle) -> None:
        if self.is_dead or timer._cancelled:
            return
        if self.clock.now_s() < timer.when() - 1e-7:
            # The clock was slowed down since.
            self._queue.at(self.clock.true_s(timer.when()), self._due, timer)
            return
        self._ready.append(timer)
        self._wake()

    # What coroutines do (`asyncio.AbstractEventLoop`).

    def time(self) -> float:
        return self.clock.now_s()

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self.is_dead:
            self._ready.append(handle)
            self._wake()
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        if not self.is_dead:
            self._queue.at(self.clock.true_s(when), self._due, timer)
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It stays in the queue and is passed over."""

    def create_future(self) -> asyncio.Future[Any]:
        self._number += 1
        return _Future(self._number, self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **_: Any,
    ) -> asyncio.Task[Any]:
        self._number += 1
        task = _Task(coro, self._number, loop=self, name=name or str(self._number), context=context)
        self._tasks.append(task)
        if len(self._tasks) > self._tasks_max:
            self._tasks = [task for task in self._tasks if not task.done()]
            self._tasks_max = 2 * len(self._tasks) + _TASKS_KEPT
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """A thread that takes a moment, in which other things happen."""
        del executor
        future = self.create_future()

        def work() -> None:
            if future.done():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
                future.set_exception(error)

        self.call_later(self.rng.random() * _THREAD_S, work)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_dead:
            error = context.get("exception")
            self._failed(f"{context['message']}: {error!r}")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.is_dead

    def is_closed(self) -> bool:
        return False


def _nothing(_: object) -> None:
    """An abandoned generator is kept, and not closed behind the back of its process."""
