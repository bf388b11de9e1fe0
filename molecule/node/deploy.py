"""The door by which processes enter: a worker checks and packs files, one entry activates them.

All or nothing: a fault in any file changes nothing, and all faults are told at once.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from molecule.access import policy
from molecule.access.policy import Action, Actor
from molecule.cluster import listening
from molecule.cluster.outcome import Rejected
from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.model.errors import (
    Finding,
    InvalidInput,
    InvalidProcess,
    LimitExceeded,
)
from molecule.model.ids import ProcessName
from molecule.node import refusals, wire
from molecule.node.forwarder import Forwarder
from molecule.node.payloads import Payloads
from molecule.node.submit import AskWorker
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w


class DeployDoor:
    """Used by the gateway's door."""

    def __init__(
        self,
        *,
        forwarder: Forwarder,
        payloads: Payloads,
        ask_worker: AskWorker,
        state: Callable[[], ClusterState],
        limits: Limits,
    ) -> None:
        self._state = state
        self._forwarder = forwarder
        self._payloads = payloads
        self._ask_worker = ask_worker
        self._limits = limits

    async def apply(
        self, actor: Actor, environment: str, files: Mapping[str, bytes], *, within_s: float
    ) -> Mapping[str, Any]:
        """Make the files of a user's repository what `environment` runs.

        Raises `InvalidProcess` with every fault; what was active stays active then.
        """
        policy.check(actor, Action.APPLY)
        if not environment:
            raise InvalidInput("name the environment to apply to", field="environment")
        size = sum(map(len, files.values()))
        if size > self._limits.package_bytes_max:
            raise LimitExceeded(
                limit="package_bytes_max", allowed=self._limits.package_bytes_max, asked=size
            )
        build = w.BuildPackage(environment=environment, files=dict(files))
        reply = await self._ask_worker(w.WorkerRequest(build=build))
        if reply.findings:
            raise InvalidProcess(_findings(reply.findings))
        if reply.code:
            raise InvalidInput(reply.message)
        self._check_paths(environment, reply.versions)
        commands = await self._commands(actor, environment, reply)
        result = await self._forwarder.insist(commands, within_s=within_s)
        for outcome in result.outcomes:
            if isinstance(outcome, Rejected):
                # A path may be taken: another apply was faster than this one's look at them.
                raise refusals.error_of(outcome, environment=environment)
        return {
            "environment": environment,
            "index": result.index,
            "processes": [
                {
                    "process": built.process,
                    "version": built.version,
                    "trigger_on": built.trigger_on,
                    "has_trigger": built.options.has_trigger or built.options.HasField("listener"),
                }
                for built in reply.versions
            ],
            "warnings": [
                *map(str, _findings(reply.warnings)),
                *self._cut_off(environment, reply),
            ],
        }

    def _check_paths(self, environment: str, versions: Sequence[w.BuiltVersion]) -> None:
        """No two processes may listen at the same path; nothing was proposed yet."""
        own = {built.process for built in versions}
        taken = {
            listening.claim(found.method, found.path): deployment.process
            for deployment, found in listening.active(self._state())
            if deployment.environment == environment and deployment.process not in own
        }
        for built in versions:
            if not built.trigger_on or not built.options.HasField("listener"):
                continue
            wanted = built.options.listener
            holder = taken.setdefault(
                listening.claim(wanted.method, wanted.path), ProcessName(built.process)
            )
            if holder != built.process:
                path = f"{wanted.method} {wanted.path}"
                raise refusals.error_of(Rejected("path_taken", {"path": path, "process": holder}))

    def _cut_off(self, environment: str, reply: w.WorkerReply) -> list[str]:
        """What stays active although these files do not bring it, and lost an address to them."""
        state = self._state()
        own = {built.process for built in reply.versions}
        addressed = orjson.loads(reply.environment_settings)["connections"]
        lost = [
            (deployment.process, gate.connection)
            for deployment in state.deployments.values()
            if deployment.environment == environment and deployment.process not in own
            for gate in state.versions[deployment.process, deployment.version].gates
            if gate.connection not in addressed
        ]
        return [
            f"process {process} is not in this folder and stays active, but environments/"
            f"{environment}.yaml no longer says where its connection {connection} is: it will fail "
            "(add the connection there; the newest apply sets the whole environment)"
            for process, connection in sorted(lost)
        ]

    def _ordered(
        self, environment: str, versions: Sequence[w.BuiltVersion]
    ) -> list[w.BuiltVersion]:
        """Who gives a path up comes before who takes it, where that is possible at all."""
        taken = {
            (deployment.process, listening.claim(found.method, found.path))
            for deployment, found in listening.active(self._state())
            if deployment.environment == environment
        }

        def waits(built: w.BuiltVersion) -> bool:
            if not built.trigger_on or not built.options.HasField("listener"):
                return False
            wanted = listening.claim(built.options.listener.method, built.options.listener.path)
            return any(claim == wanted for process, claim in taken if process != built.process)

        return sorted(versions, key=waits)

    async def _commands(
        self, actor: Actor, environment: str, reply: w.WorkerReply
    ) -> list[c.Command]:
        who = wire.actor_to_wire(actor)
        settings = reply.environment_settings
        put = c.PutEnvironment(
            environment=environment,
            settings=await self._payloads.payload(settings),
            digest=hashlib.sha256(settings).hexdigest(),
            actor=who,
        )
        commands = [c.Command(version=1, put_environment=put)]
        for built in self._ordered(environment, reply.versions):
            version = c.PutVersion(
                process=built.process,
                version=built.version,
                options=built.options,
                package=await self._payloads.payload(built.package),
                actor=who,
            )
            activate = c.ActivateVersion(
                environment=environment,
                process=built.process,
                version=built.version,
                trigger_on=built.trigger_on,
                actor=who,
            )
            commands.append(c.Command(version=1, put_version=version))
            commands.append(c.Command(version=1, activate_version=activate))
        return commands


def _findings(told: Iterable[w.FoundFault]) -> tuple[Finding, ...]:
    return tuple(
        Finding(fault.file, fault.line, fault.column, fault.where, fault.what, fault.hint)
        for fault in told
    )
