"""The two threads that touch the journal's files, so that the loop never waits for a disk.

One writes and syncs, in order; the other makes room and reads. Results come back on the loop.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

Done = Callable[[BaseException | None, float], None]
"""Gets the error, if any, and the seconds it took."""


class Threads:
    """Belongs to one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sync = ThreadPoolExecutor(1, thread_name_prefix="journal-sync")
        self._room = ThreadPoolExecutor(1, thread_name_prefix="journal-room")

    def sync(self, work: Callable[[], None], done: Done) -> None:
        """Run behind all earlier writes; `done` is called on the loop."""
        self._run(self._sync, work, done)

    def make_room(self, work: Callable[[], None], done: Done) -> None:
        """Run beside the writes; `done` is called on the loop."""
        self._run(self._room, work, done)

    async def behind_writes(self, work: Callable[[], None]) -> None:
        """Run behind all earlier writes and wait for it."""
        await self._loop.run_in_executor(self._sync, work)

    async def stop(self) -> None:
        """Let what was begun end."""
        for thread in (self._sync, self._room):
            await asyncio.to_thread(thread.shutdown)

    def _run(self, thread: ThreadPoolExecutor, work: Callable[[], None], done: Done) -> None:
        began = time.monotonic()

        def finished(future: "Future[None]") -> None:
            if not self._loop.is_closed():
                took = time.monotonic() - began
                self._loop.call_soon_threadsafe(done, future.exception(), took)

        thread.submit(work).add_done_callback(finished)
