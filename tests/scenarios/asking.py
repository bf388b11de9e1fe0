"""The verbs of the scenario language that ask for reasons: why, and what a loss came to."""

from typing import Any

from molecule.cluster import views
from molecule.scheduler import standing, why
from tests.scenarios.process_verbs import ProcessVerbs
from tests.scenarios.script import Command


class Asking(ProcessVerbs):
    """A part of `Runner`."""

    def do_why(self, command: Command) -> None:
        """why e1 here moved: only these questions; each answer with its place in the log.

        `leader=none`: asked of a voter that knows of none.
        """
        name, *wanted = command.words
        told = self._explained(name, leader=command.options.get("leader", self.world.leader))
        for answer in told["answers"]:
            if not wanted or answer["question"] in wanted:
                source = "log" if answer["decided"] else "now"
                place = f"{answer['question']} {source} {answer['index']}"
                self.world.output.append(f"{place}: {answer['text']}")
        if told["incomplete"]:
            self.world.output.append(told["incomplete"])

    def do_postmortem(self, command: Command) -> None:
        """postmortem n2: the newest loss of the node, without instants."""
        told = next(
            view for view in views.postmortems(self.world.state) if view["node"] == command.words[0]
        )
        executions = [f"{one['execution']}->{one['became']}" for one in told.pop("executions")]
        shown = {name: value for name, value in told.items() if not name.endswith("at_ms")}
        facts = [f"{name}={value}" for name, value in shown.items() if value not in ("", 0, False)]
        self.world.output.append(" ".join([*facts, *executions]))

    def _explained(self, name: str, *, leader: str) -> dict[str, Any]:
        state = self.world.state
        lines = self._lines(name)
        blockers: dict[str, standing.Decided] = {}
        for holder in standing.holders(state, name):
            first = self._lines(holder)[0]
            blockers[holder] = (first["index"], first["at_ms"])
        leads = "" if leader == "none" else leader
        return why.explain(self.world.view(name), lines, state, blockers=blockers, leader=leads)

    def _lines(self, name: str) -> list[dict[str, Any]]:
        return [
            {
                "index": row.index,
                "at_ms": row.at_ms,
                "kind": row.kind,
                "node": row.node,
                "token": row.token,
                "attempt": row.attempt,
                "facts": dict(row.facts),
            }
            for row in self.world.timeline
            if row.execution == name
        ]
