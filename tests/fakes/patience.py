"""A clock that moves only when somebody pauses."""

from molecule.api.hold import Patience


class VirtualTime:
    """Seconds since the test began."""

    def __init__(self) -> None:
        self.now_s = 0.0

    async def pause(self, seconds: float) -> None:
        self.now_s += seconds

    def patience(self, repeat_s: float = 0.1) -> Patience:
        return Patience(now_s=lambda: self.now_s, pause_s=self.pause, repeat_s=repeat_s)
