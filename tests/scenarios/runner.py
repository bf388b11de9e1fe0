"""Runs a scenario: each verb of its language is a method of `Runner`."""

from typing import Any

from molecule.cluster import views
from molecule.config import Limits
from molecule.model.ids import ExecutionId, GroupId, ProcessName
from molecule.wire.v1 import commands_pb2 as wire
from tests.scenarios.asking import Asking
from tests.scenarios.gate_verbs import GateVerbs
from tests.scenarios.key_verbs import KeyVerbs
from tests.scenarios.process_verbs import ProcessVerbs
from tests.scenarios.retention_verbs import RetentionVerbs
from tests.scenarios.script import Command, milliseconds, parse, render
from tests.scenarios.submitted import input_of, key_of
from tests.scenarios.world import ENVIRONMENT, told


def run(text: str) -> str:
    """The scenario with the output that it has now in the place of the expected one."""
    runner = Runner()
    blocks = parse(text)
    return render(blocks, [runner.block(block.commands) for block in blocks])


class Runner(Asking, RetentionVerbs, GateVerbs, ProcessVerbs, KeyVerbs):
    """Carries out the commands of one scenario on a world of its own."""

    def block(self, commands: tuple[Command, ...]) -> list[str]:
        """What a block of commands brings about, line by line."""
        self.world.output = []
        for command in commands:
            getattr(self, f"do_{command.verb}")(command)
            if self.world.leader:
                self.world.settle()
        return self.world.output

    # -- the cluster

    def do_cluster(self, command: Command) -> None:
        """cluster nodes=3 leader=n1 slots=8 n2.disk=fast dedup_window=1m keys=100."""
        self.world.limits = Limits(
            late_words_told_max=command.number("late_words", 20),
            dedup_window_ms=command.duration_ms("dedup_window", "1h"),
            dedup_keys_max=command.number("keys", 1000),
        )
        names = [f"n{number}" for number in range(1, command.number("nodes", 3) + 1)]
        self.world.lead(command.options.get("leader", "n1"))
        for name in names:
            labels = {
                label.removeprefix(f"{name}."): value
                for label, value in command.options.items()
                if label.startswith(f"{name}.")
            }
            zone = labels.pop("zone", "")
            slots = command.number("slots", 8)
            self.world.register(name, slots=slots, labels=labels, zone=zone)
        self.world.propose(put_environment=wire.PutEnvironment(environment=ENVIRONMENT, digest="1"))
        self.world.advance(self.world.timing.heartbeat_ms)
        self.world.output.clear()
        self.world.output.append(f"{len(names)} nodes, {self.world.leader} leads")

    def do_leader(self, command: Command) -> None:
        """leader n2 lease=60s: a new leader claims."""
        lease_ms = command.duration_ms("lease", "2500ms")
        self.world.timing = self.world.timing.model_copy(update={"lease_ms": lease_ms})
        self.world.lead(command.words[0])

    def do_hold(self, _command: Command) -> None:
        """hold: how long work of a silent holder is waited for."""
        self.world.output.append(f"hold {self.world.state.lease_hold_ms}")

    def do_cut(self, command: Command) -> None:
        """cut n2: nothing reaches it or comes from it."""
        for name in command.words:
            self.world.agents[name].is_cut = True
            if name == self.world.leader:
                self.world.leader = ""

    def do_heal(self, command: Command) -> None:
        """heal n2: it is reachable again."""
        for name in command.words:
            self.world.agents[name].is_cut = False
        self.world.beat()

    def do_advance(self, command: Command) -> None:
        """advance 30s: time passes."""
        self.world.advance(milliseconds(command.words[0]))

    def do_dead(self, command: Command) -> None:
        """dead n2: its supervisor reports that the life ended."""
        agent = self.world.agents[command.words[0]]
        agent.is_dead = True
        agent.holds.clear()
        self._propose(
            report_node_death=wire.ReportNodeDeath(
                node=agent.name, life=str(agent.life), evidence="exit code -9"
            )
        )

    def do_restart(self, command: Command) -> None:
        """restart n2: a new life registers; nobody reported the end of the old one."""
        agent = self.world.agents[command.words[0]]
        agent.life += 1
        agent.holds.clear()
        node = self.world.state.nodes[agent.name]
        self.world.register(agent.name, slots=node.slots, labels=node.labels, zone=node.zone)

    def do_drain(self, command: Command) -> None:
        """drain n2 timeout=30s, or stopping=yes when only this life is to end."""
        agent = self.world.agents[command.words[0]]
        self._propose(
            drain_node=wire.DrainNode(
                node=agent.name,
                life=str(agent.life) if command.options.get("stopping") == "yes" else "",
                timeout_ms=command.duration_ms("timeout", "30s"),
                actor=wire.Actor(kind="user", name="ann"),
            )
        )

    def do_undrain(self, command: Command) -> None:
        """undrain n2: it takes work again."""
        self._propose(undrain_node=wire.UndrainNode(node=command.words[0]))

    # -- executions

    def do_submit(self, command: Command) -> None:
        """submit e1 process=orders key=k1 body=b1 by=plane hint=n2 group=g trigger=7 priority=5."""
        name = command.words[0]
        process = command.options.get("process", "orders")
        if (ENVIRONMENT, process) not in self.world.state.deployments:
            self.deploy(process, {})
        hint = None
        if "hint" in command.options:
            node, _, incarnation = command.options["hint"].partition("/")
            known = self.world.agents[node].incarnation
            hint = wire.PlacementHint(node=node, incarnation=int(incarnation or known))
        self._propose(
            submit_execution=wire.SubmitExecution(
                execution=name,
                idempotency_key=key_of(command.options.get("key", f"key_of_{name}")),
                body_digest=command.options.get("body", "the body"),
                environment=ENVIRONMENT,
                process=process,
                input=input_of(command.options.get("document", "")),
                concurrency_key=command.options.get("by", ""),
                hint=hint,
                group=command.options.get("group", ""),
                trigger_token=command.number("trigger", 0),
                priority=command.number("priority", 0),
            )
        )

    def do_cancel(self, command: Command) -> None:
        """cancel e1."""
        self._propose(
            cancel_execution=wire.CancelExecution(
                execution=command.words[0], actor=wire.Actor(kind="user", name="ann")
            )
        )

    def do_resolve(self, command: Command) -> None:
        """resolve e1 a=done b=not_done."""
        answers = [
            wire.Answer(effect_key=key, answer=said) for key, said in command.options.items()
        ]
        self._propose(
            resolve_effects=wire.ResolveEffects(
                execution=command.words[0],
                answers=answers,
                actor=wire.Actor(kind="user", name="ann"),
            )
        )

    def do_assign(self, command: Command) -> None:
        """assign e1 n2 epoch=1: a leader's word that may be stale."""
        name, node = command.words
        self._propose(
            assign_execution=wire.AssignExecution(
                epoch=command.number("epoch", self.world.state.epoch),
                execution=name,
                node=node,
                incarnation=command.number("incarnation", self.world.agents[node].incarnation),
            )
        )

    def do_expire(self, command: Command) -> None:
        """expire n2 epoch=1: a verdict that may be stale."""
        node = command.words[0]
        self._propose(
            expire_node=wire.ExpireNode(
                epoch=command.number("epoch", self.world.state.epoch),
                node=node,
                incarnation=command.number("incarnation", self.world.agents[node].incarnation),
            )
        )

    def do_release(self, command: Command) -> None:
        """release e1 wait=1: a leader's word that may come too late."""
        self._propose(
            release_execution=wire.ReleaseExecution(
                epoch=self.world.state.epoch,
                execution=command.words[0],
                wait_number=command.number("wait", 1),
            )
        )

    # -- what a holder says

    def do_say(self, command: Command) -> None:
        """say n2 complete e1 token=1: a word of a holder, good or late."""
        node, verb, name = command.words
        if self.world.agents[node].is_cut or not self.world.leader:
            self.world.output.append(f"{node} is cut off")
            return
        token = command.number("token", 0)
        if verb == "write":
            self.world.write(name, token)
            return
        speak = getattr(self, f"_say_{verb}")
        self._propose(**speak(name, token, command))

    def _say_complete(self, name: str, token: int, command: Command) -> dict[str, Any]:
        letters = [wire.DeadLetter(document="d")] * command.number("letters", 0)
        result = wire.Payload(inline=b"[]")
        return _end(name, token, "COMPLETED", result=result, dead_letters=letters)

    def _say_fail(self, name: str, token: int, command: Command) -> dict[str, Any]:
        code = command.options.get("code", "boom")
        return _end(name, token, "FAILED", reason="step failed", error_code=code, step="store")

    def _say_doubt(self, name: str, token: int, _command: Command) -> dict[str, Any]:
        return _end(name, token, "IN_DOUBT", step="tell")

    def _say_wait(self, name: str, token: int, command: Command) -> dict[str, Any]:
        return _end(name, token, "WAITING", wait_ms=command.duration_ms("for", "10s"))

    def _say_hand_back(self, name: str, token: int, _command: Command) -> dict[str, Any]:
        return _end(name, token, "PENDING", reason="drained")

    def _say_checkpoint(self, name: str, token: int, command: Command) -> dict[str, Any]:
        return {
            "record_checkpoint": wire.RecordCheckpoint(
                execution=name,
                token=token,
                sequence=command.number("sequence", 1),
                position=wire.Payload(inline=b"position"),
                steps=[wire.StepRecord(step=command.options.get("step", "store"))],
            )
        }

    def _say_intend(self, name: str, token: int, command: Command) -> dict[str, Any]:
        keys = command.options["effect"].split(",")
        intents = [
            wire.Intent(
                effect_key=key,
                step=command.options.get("step", "tell"),
                effect=command.options.get("class", "once"),
                timeout_ms=command.duration_ms("timeout", "5s"),
                target="POST /late",
            )
            for key in keys
        ]
        return {"record_intents": wire.RecordIntents(execution=name, token=token, intents=intents)}

    def _say_confirm(self, name: str, token: int, command: Command) -> dict[str, Any]:
        how = command.options.get("how", "sent")
        told_of = [
            wire.Confirmation(effect_key=key, how=how)
            for key in command.options["effect"].split(",")
        ]
        return {
            "confirm_effects": wire.ConfirmEffects(
                execution=name, token=token, confirmations=told_of
            )
        }

    # -- triggers and groups

    def do_group(self, command: Command) -> None:
        """group g token=3 through=10 closed=yes process=files."""
        self._propose(
            record_group=wire.RecordGroup(
                group=command.words[0],
                environment=ENVIRONMENT,
                process=command.options.get("process", "files"),
                trigger_token=command.number("token", 0),
                through=command.number("through", 0),
                closed=command.options.get("closed") == "yes",
                rejected=command.number("rejected", 0),
                name=command.words[0],
            )
        )

    def do_settle(self, command: Command) -> None:
        """settle g token=3."""
        self._propose(
            settle_group=wire.SettleGroup(
                group=command.words[0], trigger_token=command.number("token", 0)
            )
        )

    # -- looking

    def do_show(self, command: Command) -> None:
        """show e1 state node attempts: fields of the view of an execution."""
        name, *fields = command.words
        view = self.world.view(name)
        self.world.output.append(" ".join([name, *(f"{field}={view[field]}" for field in fields)]))

    def do_effects(self, command: Command) -> None:
        """effects e1: what the holder is told of effects that were begun."""
        execution = self.world.state.executions[ExecutionId(command.words[0])]
        for intent in execution.intents.values():
            self.world.output.append(
                f"{intent.effect_key} {intent.effect} begun_under={intent.token}"
                f" resolution={intent.resolution or 'unknown'}"
            )

    def do_timeline(self, command: Command) -> None:
        """timeline e1 refused: the lines of one kind, or the kinds of all lines."""
        name, *kinds = command.words
        rows = [row for row in self.world.timeline if row.execution == name]
        if not kinds:
            self.world.output.append(" ".join(row.kind for row in rows))
        for row in rows:
            if row.kind in kinds:
                facts = told({key: row.facts[key] for key in sorted(row.facts)})
                self.world.output.append(" ".join([row.kind, f"token={row.token}", *facts]))

    def do_look(self, command: Command) -> None:
        """look g: how far a group is."""
        group = self.world.state.groups.get(GroupId(command.words[0]))
        if group is None:
            self.world.output.append("no such group")
            return
        view = views.group(group)
        fields = ("through", "closed", "accepted", "open", "completed", "failed", "done")
        self.world.output.append(" ".join(f"{field}={view[field]}" for field in fields))

    def do_nodes(self, _command: Command) -> None:
        """nodes: each node with what it holds."""
        for view in views.nodes(self.world.state):
            up = "up" if view["up"] else f"lost reason={view['lost_reason']}"
            drain = " drained" if view["drained"] else " draining" if view["draining"] else ""
            self.world.output.append(f"{view['id']} {up} held={view['held']}{drain}")

    def do_activate(self, command: Command) -> None:
        """activate files trigger=off: switch a trigger."""
        deployment = self.world.state.deployments[ENVIRONMENT, ProcessName(command.words[0])]
        self._propose(
            activate_version=wire.ActivateVersion(
                environment=ENVIRONMENT,
                process=command.words[0],
                version=deployment.version,
                trigger_on=command.options["trigger"] == "on",
            )
        )


def _end(name: str, token: int, state: str, **fields: Any) -> dict[str, Any]:
    return {"end_attempt": wire.EndAttempt(execution=name, token=token, state=state, **fields)}
