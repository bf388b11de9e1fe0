"""How an agent empties its node: which executions are asked to stop, and how firmly.

Pure; `AgentRounds` asks it every round. What must stay true: what is asked to stop may come to a
place where no effect is under way until the time of the drain is over; after that it stops anyway,
and an effect in doubt is settled like after a crash.
"""

from collections.abc import Iterator, Mapping

from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w

REASON = "drained"


class Draining:
    """What the leader said of draining, and what was asked of workers because of it."""

    __slots__ = ("_asked", "_grace_us", "_pressed", "is_on", "until_us")

    def __init__(self, *, grace_us: int) -> None:
        self._grace_us = grace_us
        self.is_on = False
        self.until_us = 0
        self._asked: dict[str, int] = {}
        self._pressed: dict[str, int] = {}

    def heard(self, reply: p.HeartbeatReply, *, now_us: int) -> None:
        """The leader's word in its answer to a heartbeat."""
        self.is_on = reply.draining
        if not self.is_on:
            self._asked.clear()
            self._pressed.clear()
            return
        self.until_us = now_us + reply.drain_left_ms * 1000

    def due(self, held: Mapping[str, int], *, now_us: int) -> Iterator[tuple[str, int, bool]]:
        """Executions to be asked now: name, token, and whether they must stop at once."""
        is_over = now_us >= self.until_us
        for done in [name for name in self._asked if held.get(name) != self._asked[name]]:
            del self._asked[done]
            self._pressed.pop(done, None)
        for name, token in held.items():
            asked = self._pressed if is_over else self._asked
            if asked.get(name) != token:
                self._asked[name] = asked[name] = token
                yield name, token, is_over

    def is_overdue(self, *, now_us: int) -> bool:
        """True when a worker that has not given everything back by now must be ended."""
        return bool(self._pressed) and now_us >= self.until_us + self._grace_us


def given_back(run: w.RunExecution) -> c.Command:
    """An assignment that never began here goes back as it came."""
    end = c.EndAttempt(execution=run.execution, token=run.token, state="PENDING", reason=REASON)
    return c.Command(version=1, end_attempt=end)
