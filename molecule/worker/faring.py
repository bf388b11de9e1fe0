"""How a trigger fares, as its worker sees it: the last success, failures in a row, the last error.

Pure. It is for people; nothing is decided by it.
"""

from molecule.wire.v1 import worker_pb2 as w


class Faring:
    """Of one trigger under one token. Only its runner changes it."""

    def __init__(self, *, error_length_max: int) -> None:
        self._error_length_max = error_length_max
        self._told = w.TriggerHealth()
        self._has_failed = False
        """Something failed in the round that is under way."""
        self._last: BaseException | None = None

    def worked(self, *, now_ms: int) -> None:
        """What it submitted was accepted."""
        self._told.succeeded_at_ms = now_ms
        self._told.failures = 0

    def round_over(self, *, now_ms: int) -> None:
        """It waits for its next round: a success, unless something in this one failed."""
        if not self._has_failed:
            self.worked(now_ms=now_ms)
        self._has_failed = False

    def failed(self, error: BaseException, message: str, *, now_ms: int) -> None:
        """A failure. One that is seen again on its way out counts once."""
        if error is self._last:
            return
        self._last = error
        self._has_failed = True
        self._told.failures += 1
        self._told.failed_at_ms = now_ms
        self._told.error = message[: self._error_length_max]

    def begun_again(self) -> None:
        """Its first round after a failure begins."""
        self._has_failed = False

    def told(self) -> w.TriggerHealth:
        """As it is now, for the node process."""
        copy = w.TriggerHealth()
        copy.CopyFrom(self._told)
        return copy
