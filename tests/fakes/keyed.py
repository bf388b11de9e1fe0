"""Executions whose words about tables and claims are applied by a real state machine."""

from typing import Any

from molecule.cluster.outcome import Applied
from molecule.engine.events import Started
from molecule.engine.instructions import Commit, Finish, PerformRequest
from molecule.model.ids import ExecutionId
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker.key_calls import KeyCalls
from tests.fakes.executions import Execution
from tests.unit.cluster.builders import Replica


class KeyedExecution(Execution):
    """Each owner is a new assignment of the replica; `said` counts the words about keys."""

    def __init__(self, replica: Replica, name: str, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.replica, self.name = replica, name
        self.copies: list[c.Command] = []
        """Every word about keys that was said: a network may bring any of them again."""
        self._token = 0
        self._calls: KeyCalls | None = None
        replica.submit(name)

    def _started(self) -> Started:
        execution = self.replica.execution(self.name)
        if execution.state == "ASSIGNED":
            self.replica.end(self.name, self._token, "PENDING")
        outcome = self.replica.assign(self.name)
        assert isinstance(outcome, Applied), outcome
        self._token = outcome.value
        self._calls = KeyCalls(self, self.name, self._token, execution.sequence)  # type: ignore[arg-type]  # it asks this instead of a stream
        return super()._started()

    async def ask(self, command: c.Command) -> w.WordOutcome:
        """What the state machine makes of it."""
        self.copies.append(command)
        outcome = self.replica.commit(command).outcomes[0]
        facts = outcome.facts
        if isinstance(outcome, Applied):
            told = {name: str(facts.get(name, "")) for name in ("answer", "value")}
            return w.WordOutcome(applied=True, **told)  # type: ignore[arg-type]  # both are texts
        message = ", ".join(f"{name}={value}" for name, value in facts.items())
        current = int(facts.get("current", 0))
        return w.WordOutcome(code=outcome.reason, message=message, current=current)

    def client(self, item: PerformRequest) -> Any:
        """The cluster, for those that talk to it."""
        return self._calls if item.step.spec.inside == "cluster" else super().client(item)

    def _confirm(self, item: Commit | Finish) -> None:
        own = [one for one in item.confirmations if one.effect_key in self.kept.intents]
        told = [
            c.Confirmation(effect_key=one.effect_key, how=one.how) for one in item.confirmations
        ]
        if told:
            said = c.ConfirmEffects(execution=self.name, token=self._token, confirmations=told)
            assert isinstance(self.replica.say(confirm_effects=said), Applied)
        for one in own:
            self.kept.intents.pop(one.effect_key)

    def _checkpoint(self, item: Commit | Finish) -> None:
        super()._checkpoint(item)
        if item.checkpoint is not None:
            sequence = item.checkpoint.sequence
            result = self.replica.checkpoint(self.name, self._token, sequence)
            assert isinstance(result.outcomes[0], Applied)
            if self._calls is not None:
                self._calls.sequence = sequence

    def _finish(self, item: Finish) -> Finish:
        finish = super()._finish(item)
        self.replica.end(self.name, self._token, item.state.value)
        return finish

    @property
    def is_live(self) -> bool:
        """True until it has ended."""
        return ExecutionId(self.name) in self.replica.state.executions
