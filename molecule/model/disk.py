"""How full a volume is, as a node reports it, and what that means for new work.

Pure numbers: measuring belongs to `storage/reserve.py`, deciding to `scheduler/headroom.py`.
"""

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """What a disk leaves room for; a higher one is worse and includes the lower ones."""

    ROOMY = 0
    PURGE_EARLY = 1
    """Purge runs before its time, and an alarm goes out."""
    NO_DOCUMENTS = 2
    """Submissions that bring stored documents are refused."""
    NO_SUBMISSIONS = 3
    """All submissions are refused; what was accepted goes on, out of the reserve."""


@dataclass(frozen=True, slots=True)
class DiskReport:
    """A volume as this user sees it; what the reserve holds counts as available."""

    total_bytes: int
    available_bytes: int
    reserve_bytes: int
    """How much of it is kept back for what was accepted."""
    reserve_held_bytes: int = 0
    """How much of that is allocated now."""

    @property
    def is_sensible(self) -> bool:
        """False for numbers that no volume can have: then nothing is known."""
        return 0 <= self.available_bytes <= self.total_bytes and self.total_bytes > 0

    @property
    def used_percent(self) -> float:
        """Of the whole volume."""
        return 100.0 * (self.total_bytes - self.available_bytes) / max(1, self.total_bytes)
