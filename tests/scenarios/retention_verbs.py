"""Verbs of scenarios about purging: what is let go, and which documents are still referred to."""

from molecule.wire.v1 import commands_pb2 as wire
from tests.scenarios.parked import Parked
from tests.scenarios.script import Command
from tests.scenarios.world import START_MS


class RetentionVerbs(Parked):
    """A part of the runner."""

    def do_purge(self, command: Command) -> None:
        """purge completed_documents older=7d slice=10 epoch=1: what ended earlier is let go."""
        state = self.world.state
        before_ms = START_MS + self.world.now_ms - command.duration_ms("older", "0s")
        word = wire.PurgeEnded(
            epoch=command.number("epoch", state.epoch),
            slice_max=command.number("slice", 10),
            horizons=[
                wire.Horizon(retention_class=name, before_ms=before_ms) for name in command.words
            ],
        )
        self._propose(purge_ended=word)

    def do_documents(self, _command: Command) -> None:
        """documents: those that are referred to, and how often."""
        known = sorted(self.world.state.documents.items())
        counted = [f"{digest}={use.count}" for digest, use in known]
        self.world.output.append(f"documents {' '.join(counted) or 'none'}")
