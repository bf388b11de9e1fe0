"""What is simulated: the replica or the unmodified library, and which guards are off.

Worlds and options are built from here, so that a test, the command line and the minimiser mean the
same run. What must stay true: a setup and a seed together name one run.
"""

from dataclasses import dataclass, replace
from typing import Literal

from molecule.raft.settings import Guards
from tests.simulation.faults import Fault
from tests.simulation.library_member import make_library_factory
from tests.simulation.options import Options, directed, draw, with_changes
from tests.simulation.replica_member import make_replica_factory
from tests.simulation.world import Report, World

# The library's own timing; the replica's election timeout is half a second at most.
_LIBRARY_ELECTION_S = 1.4
_REPLICA_ELECTION_S = 0.6

# Findings about the library by their number, with the switch of the guard against each.
GUARDS = {
    1: "durable_journal",
    2: "durable_before_sending",
    3: "one_append_in_flight",
    4: "clamp_commit",
    5: "check_sender",
    6: "pre_vote",
    7: "keepalives",
    8: "majority_rounds",
    9: "one_change_at_a_time",
    10: "own_snapshots",
}
# The check of the epoch is the state machine's, not the replica's.
EPOCH_CHECK = 15
ROWS = (*GUARDS, EPOCH_CHECK)


@dataclass(frozen=True, slots=True)
class Setup:
    """One kind of run; guards off, or a row to aim at, bend its options towards that row."""

    voters: int = 3
    faults: int = 150
    member: Literal["replica", "library"] = "replica"
    guards_off: tuple[int, ...] = ()
    aim: int | None = None
    changes: bool = False
    """Machines join, leave and are replaced."""

    def command(self, seed: int) -> str:
        """The command that replays a seed of this setup."""
        words = ["python -m tests.simulation.run", f"--seed {seed}", f"--voters {self.voters}"]
        words.append(f"--faults {self.faults}")
        if self.member != "replica":
            words.append(f"--member {self.member}")
        if self.guards_off:
            words.append(f"--guards-off {','.join(map(str, self.guards_off))}")
        if self.aim is not None:
            words.append(f"--aim {self.aim}")
        if self.changes:
            words.append("--changes")
        return " ".join(words)

    def options(self, seed: int) -> Options:
        """The options of a seed in this setup."""
        options = draw(seed, self.voters, self.faults)
        row = self.aim or next(iter(self.guards_off), None)
        if row is not None:
            options = directed(options, row, seed)
        if self.changes:
            options = with_changes(options, seed)
        return replace(
            options,
            checks_epoch=EPOCH_CHECK not in self.guards_off,
            forgives=bool(self.guards_off),
        )

    def run(self, seed: int, faults: tuple[Fault, ...] | None = None) -> Report:
        """Run a seed, or what is left of its faults."""
        if self.member == "library":
            options = self.options(seed)
            if options.changes_every_s:
                # What the library's own changes leave behind is its affair; only safety is checked.
                options = replace(options, spares=0, checks_calm=False)
            return World(
                seed,
                options,
                make_library_factory(changes=bool(options.changes_every_s)),
                election_s=_LIBRARY_ELECTION_S,
                faults=faults,
            ).run()
        off = {GUARDS[row]: False for row in self.guards_off if row in GUARDS}
        return World(
            seed,
            self.options(seed),
            make_replica_factory(Guards(**off)),
            election_s=_REPLICA_ELECTION_S,
            faults=faults,
        ).run()
