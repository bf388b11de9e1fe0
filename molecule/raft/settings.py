"""The durations, bounds and guards of a replica.

Leaves reading them from a file to `molecule.config`; converts them to seconds here. Guards exist
for the simulator alone: a product that passes anything but the default is broken.
"""

from dataclasses import dataclass
from typing import Self

from molecule import config


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in seconds of the monotonic clock."""

    election_min: float = 0.3
    election_max: float = 0.6
    step_down: float = 0.6
    keepalive: float = 0.1

    def scaled(self, factor: float) -> Self:
        """Every duration times `factor`; the profile `relaxed` uses 4."""
        return type(self)(
            election_min=self.election_min * factor,
            election_max=self.election_max * factor,
            step_down=self.step_down * factor,
            keepalive=self.keepalive * factor,
        )

    @classmethod
    def of(cls, timing: config.Timing) -> Self:
        """The same durations as the configuration's."""
        return cls(
            election_min=timing.election_min_ms / 1000,
            election_max=timing.election_max_ms / 1000,
            step_down=timing.step_down_ms / 1000,
            keepalive=timing.raft_keepalive_ms / 1000,
        )


@dataclass(frozen=True, slots=True)
class Bounds:
    """Sizes and counts that consensus never exceeds."""

    entry_bytes_max: int = config.Limits().entry_bytes_max
    append_bytes_max: int = 1024 * 1024
    """An append ends with the entry that passes this size."""
    append_entries_max: int = 1024
    segment_bytes: int = 16 * 1024 * 1024
    entries_kept: int = 4096
    """Entries kept below a saved snapshot, so that a follower a little behind needs no snapshot."""
    bytes_kept: int = 32 * 1024 * 1024
    """So much of the journal at most do these entries take: they are in memory."""
    reserve_bytes: int = 64 * 1024
    """Journal room that only terms, votes and marks may use."""
    voters_max: int = 7
    learners_max: int = 8
    removed_kept: int = 64
    """Removed members that are remembered, the newest."""


@dataclass(frozen=True, slots=True)
class Guards:
    """One switch per finding about the library. Off restores what the library does by itself.

    Only the simulator switches one off, to prove that it would notice.
    """

    durable_journal: bool = True
    """Row 1: syncs, and a node that lost its tail does not vote alone.

    Off: nothing is ever synced.
    """
    durable_before_sending: bool = True
    """Row 2: what leaves waits for the disk. Off: it leaves when memory changed."""
    one_append_in_flight: bool = True
    """Row 3: one unanswered append per follower, equal entries are never cut."""
    clamp_commit: bool = True
    """Row 4: a follower commits only what it knows to be equal to the leader's."""
    check_sender: bool = True
    """Row 5: frames and answers of old links, terms and repetitions are dropped."""
    pre_vote: bool = True
    """Row 6: pre-vote, no vote against a living leader, `TermTooLow`."""
    keepalives: bool = True
    """Row 7: signs of life do not wait for the disk."""
    majority_rounds: bool = True
    """Row 8: step down without a majority, reads wait for a round of their own."""
    one_change_at_a_time: bool = True
    """Row 9: a change of members waits for the one before, for this term, for a live majority."""
    own_snapshots: bool = True
    """Row 10: the journal above a snapshot survives restart and install."""
