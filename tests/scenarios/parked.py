"""Verbs of the scenario language about dead workers and parked executions."""

from typing import Any

from molecule.cluster import queues
from molecule.cluster.outcome import Applied, Outcome
from molecule.model.ids import ExecutionId
from molecule.wire.v1 import commands_pb2 as wire
from tests.scenarios.script import Command
from tests.scenarios.world import World, answer

_ANN = wire.Actor(kind="user", name="ann")


class Parked:
    """The part of `Runner` that proposes, and these verbs."""

    def __init__(self) -> None:
        self.world = World()

    def _answer(self, outcome: Outcome, lines_before: int) -> None:
        """Tell an outcome unless a change of state told it already."""
        if not isinstance(outcome, Applied) or len(self.world.output) == lines_before:
            self.world.output.append(answer(outcome))

    def _propose(self, **kind: Any) -> None:
        before = len(self.world.output)
        self._answer(self.world.propose(**kind), before)

    def do_worker_died(self, command: Command) -> None:
        """worker_died n2 e1:store e2: with the step that ran, if any."""
        node, *held = command.words
        words = [word.partition(":") for word in held]
        executions = self.world.state.executions
        self._propose(
            report_worker_death=wire.ReportWorkerDeath(
                node=node,
                incarnation=self.world.agents[node].incarnation,
                worker="w1",
                evidence="signal 11",
                cause=command.options.get("cause", ""),
                memory_bytes=command.number("memory", 0),
                held=[
                    wire.ReportWorkerDeath.Held(
                        execution=name,
                        token=command.number("token", executions[name].token),
                        running_step=step,
                        alone=self._is_alone(name),
                    )
                    for name, _, step in words
                ],
            )
        )

    def _is_alone(self, name: str) -> bool:
        """What a node is told: give it a worker of its own."""
        execution = self.world.state.executions[ExecutionId(name)]
        version = queues.version_of(self.world.state, execution)
        return bool(execution.is_alone or version.isolation == "process")

    def do_let_go(self, command: Command) -> None:
        """let_go e1: a person releases a parked execution."""
        said = wire.ReleaseParked(execution=command.words[0], actor=_ANN, reason="looked at it")
        self._propose(release_parked=said)

    def do_give_up(self, command: Command) -> None:
        """give_up e1: a person fails a parked execution."""
        self._propose(fail_parked=wire.FailParked(execution=command.words[0], actor=_ANN))

    def do_end_hold(self, command: Command) -> None:
        """end_hold e1 token=1: a leader's word that may come too late."""
        self._propose(
            end_hold=wire.EndHold(
                epoch=self.world.state.epoch,
                execution=command.words[0],
                token=command.number("token", 0),
            )
        )
