"""What workers may ask of their node: words into the log, documents, the progress of triggers.

Every answer about an assignment is refused when this node does not hold it under that token; the
state checks the same again when the command is applied.
"""

from collections.abc import Awaitable, Callable

from molecule.access import policy
from molecule.access.policy import Action, Actor, ActorKind
from molecule.cluster import views
from molecule.cluster.outcome import Applied, Outcome
from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.model.disk import Level
from molecule.model.errors import (
    Forbidden,
    InvalidInput,
    LimitExceeded,
    MoleculeError,
    StaleToken,
    StorageFull,
)
from molecule.model.ids import Digest, GroupId, ProcessName
from molecule.node import wire
from molecule.node.agent import Agent
from molecule.node.clock import boottime_us, wall_ms
from molecule.node.forwarder import Forwarder
from molecule.node.gate_reports import RemoteGates
from molecule.node.gates import Gates
from molecule.node.payloads import Payloads
from molecule.node.submit import accepted, new_execution_id
from molecule.scheduler import headroom
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w

_WORDS = frozenset(
    {
        "record_checkpoint",
        "record_intents",
        "confirm_effects",
        "end_attempt",
        "settle_group",
        "use_table",
        "claim_key",
    }
)


ActiveVersion = Callable[[str, str], str | None]
"""Of a deployment: environment and process; None when there is none."""

ReadGroup = Callable[[str], Awaitable[w.GroupState]]


class AskedState:
    """What workers ask of the state, on a node that has a copy of it."""

    def __init__(
        self, state: Callable[[], ClusterState], read_behind: Callable[[], Awaitable[None]]
    ) -> None:
        self._state = state
        self._read_behind = read_behind

    def active_version(self, environment: str, process: str) -> str | None:
        """Of a deployment; None when there is none."""
        known = self._state().deployments.get((environment, ProcessName(process)))
        return known.version if known is not None else None

    async def group(self, name: str) -> w.GroupState:
        """How far a group is, read after everything committed before the call."""
        await self._read_behind()
        group = self._state().groups.get(GroupId(name))
        if group is None:
            return w.GroupState(known=False)
        view = views.group(group)
        numbers = ("through", "closed", "open", "failed", "rejected", "done")
        told = {number: view[number] for number in numbers}
        return w.GroupState(known=True, name=group.name, **told)


class Desk:
    """One per node process; implements `worker_links.Desk`."""

    def __init__(
        self,
        *,
        agent: Agent,
        versions: ActiveVersion,
        groups: ReadGroup,
        forwarder: Forwarder,
        payloads: Payloads,
        limits: Limits,
        gates: Gates | RemoteGates,
    ) -> None:
        self._agent = agent
        self._versions = versions
        self._groups = groups
        self._forwarder = forwarder
        self._payloads = payloads
        self._limits = limits
        self._gates = gates
        # Longer than any lease: a worker that is alive after it has been told by its kernel timer.
        self._within_s = limits.worker_word_ms_max / 1000

    def worker_ready(self, worker: str) -> None:
        """Its stream is open."""
        self._agent.worker_ready(worker)

    def worker_status(self, worker: str, status: w.WorkerStatus) -> None:
        """What runs there now."""
        agent = self._agent
        agent.obey(agent.rounds.worker_status(worker, status, now_us=boottime_us()))

    def takes_requests(self, worker: str) -> bool:
        """False for a worker that belongs to one execution."""
        return self._agent.rounds.is_shared(worker)

    def undelivered(self, order: w.ToWorker) -> None:
        """The leader sees by the next heartbeat that it is not held, and delivers it again."""
        match order.WhichOneof("kind"):
            case "run":
                self._agent.ended(order.run.execution, order.run.token)
            case "run_trigger":
                self._agent.rounds.trigger_undelivered(order.run_trigger)

    async def word(self, word: w.Word) -> w.CallAnswer:
        """Commit what a worker says of what it holds, in one entry.

        Whether it still holds it is for `apply` to say, so that a late word is seen as refused.
        """
        for command in word.commands:
            kind = command.WhichOneof("kind")
            if kind not in _WORDS:
                raise Forbidden(f"a worker cannot say {kind}")
        result = await self._forwarder.insist(list(word.commands), within_s=self._within_s)
        for command, outcome in zip(word.commands, result.outcomes, strict=True):
            end = command.end_attempt
            if end.execution and _is_over(outcome):
                self._agent.ended(end.execution, end.token)
        return w.CallAnswer(outcomes=[_outcome(outcome) for outcome in result.outcomes])

    async def gate_ask(self, ask: w.GateAsk) -> w.CallAnswer:
        """Whether a connection takes a call of what runs here now."""
        if not self._agent.rounds.holds(ask.execution, ask.token):
            raise _not_held(ask.execution, ask.token)
        return w.CallAnswer(gate=await self._gates.ask(ask))

    async def gate_told(self, told: w.GateTold) -> w.CallAnswer:
        """What became of a call through a gate. `StaleToken` when only others can say it still."""
        try:
            await self._gates.told(told)
        except MoleculeError:
            if not self._agent.rounds.holds(told.execution, told.token):
                raise _not_held(told.execution, told.token) from None
            raise
        return w.CallAnswer()

    async def document_put(self, put: w.DocumentPut) -> w.CallAnswer:
        """Keep a large payload on a majority."""
        if put.execution and not self._agent.rounds.holds(put.execution, put.token):
            raise _not_held(put.execution, put.token)
        if not put.execution:
            self._check_room(brings_documents=True)
        reference = await self._payloads.put(put.content, execution=put.execution, token=put.token)
        return w.CallAnswer(
            reference=c.DocumentRef(digest=reference.digest, size_bytes=reference.size_bytes)
        )

    async def document_get(self, get: w.DocumentGet) -> w.CallAnswer:
        """A payload by digest, from here or from another voter."""
        return w.CallAnswer(content=await self._payloads.get(Digest(get.reference.digest)))

    async def trigger_submit(self, submit: w.TriggerSubmit) -> w.CallAnswer:
        """Submissions of a trigger and its progress, in one entry: both or neither."""
        actor = Actor(ActorKind.TRIGGER, f"{submit.environment}/{submit.process}")
        policy.check(actor, Action.SUBMIT)
        limit = self._limits.submissions_per_batch_max
        if len(submit.submissions) > limit:
            raise LimitExceeded(
                limit="submissions_per_batch_max",
                allowed=limit,
                asked=len(submit.submissions),
            )
        if submit.submissions:
            brings = any(one.input.HasField("stored") for one in submit.submissions)
            self._check_room(brings_documents=brings)
        version = self._versions(submit.environment, submit.process)
        if version is None:
            raise InvalidInput(f"{submit.process} is not deployed in {submit.environment}")
        commands = []
        for submission in submit.submissions:
            submission.execution = new_execution_id(wall_ms())
            submission.environment = submit.environment
            submission.process = submit.process
            submission.version = submission.version or version
            submission.trigger_token = submit.token
            submission.actor.CopyFrom(wire.actor_to_wire(actor))
            commands.append(c.Command(version=1, submit_execution=submission))
        if submit.HasField("group"):
            submit.group.environment = submit.environment
            submit.group.process = submit.process
            submit.group.trigger_token = submit.token
            commands.append(c.Command(version=1, record_group=submit.group))
        result = await self._forwarder.insist(commands, within_s=self._within_s)
        answer = w.CallAnswer()
        for command, outcome in zip(commands, result.outcomes, strict=True):
            if command.WhichOneof("kind") == "submit_execution":
                taken = accepted(command.submit_execution, outcome)
                refused_by = taken.refusal
                answer.outcomes.append(
                    w.WordOutcome(
                        applied=refused_by is None,
                        code=refused_by.code if refused_by else "",
                        message=refused_by.message if refused_by else "",
                        execution=taken.execution,
                    )
                )
            else:
                answer.outcomes.append(_outcome(outcome))
        return answer

    def _check_room(self, *, brings_documents: bool) -> None:
        """Refuse what would be new while a voter's disk is as full as the leader told last."""
        told, node = self._agent.rounds.headroom_heard
        if told >= (Level.NO_DOCUMENTS if brings_documents else Level.NO_SUBMISSIONS):
            limit = headroom.LIMITS[Level(min(told, max(Level)))]
            raise StorageFull(f"the disk of node {node} is over {limit}", limit=limit, node=node)

    async def group_get(self, get: w.GroupGet) -> w.CallAnswer:
        """How far a group is, read after everything committed before the call."""
        return w.CallAnswer(group=await self._groups(get.group))


def _is_over(outcome: Outcome) -> bool:
    """True when the holder has nothing left to do: its end counted, or somebody else holds it."""
    return isinstance(outcome, Applied) or outcome.reason in ("stale_token", "unknown_execution")


def _outcome(outcome: Outcome) -> w.WordOutcome:
    if isinstance(outcome, Applied):
        answer, value = (str(outcome.facts.get(name, "")) for name in ("answer", "value"))
        return w.WordOutcome(applied=True, answer=answer, value=value)
    current = int(outcome.facts.get("current", 0))
    facts = ", ".join(f"{name}={value}" for name, value in sorted(outcome.facts.items()))
    return w.WordOutcome(applied=False, code=outcome.reason, message=facts, current=current)


def _not_held(execution: str, token: int) -> StaleToken:
    return StaleToken(f"token {token} of {execution} is not held by this node", held=token)
