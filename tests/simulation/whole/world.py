"""A simulated cluster of whole nodes: everything that decides, in one thread, from one seed.

Wires what `tests.simulation.world` does not have: processes above consensus, workers, the target
and those who use the cluster. What must stay true: as there, a run is a function of its seed, its
options and its fault list.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from molecule.config import Limits, Timing
from molecule.model.errors import NoLeader
from molecule.raft.settings import Guards
from molecule.wire.v1 import worker_pb2 as w
from tests.simulation.clients import Traffic
from tests.simulation.faults import Fault
from tests.simulation.host import Host, MemberFactory, ProcessState
from tests.simulation.member import Member, Port
from tests.simulation.options import Options
from tests.simulation.strikes import strike
from tests.simulation.whole import faults as whole_faults
from tests.simulation.whole.clients import Users
from tests.simulation.whole.documents import Documents
from tests.simulation.whole.faults import WholeKind
from tests.simulation.whole.loop import ProcessLoop
from tests.simulation.whole.machine import Control, Machine
from tests.simulation.whole.member import NodeMember
from tests.simulation.whole.moments import WALL_EPOCH_S
from tests.simulation.whole.node import Around, Node
from tests.simulation.whole.promises import Promises
from tests.simulation.whole.replicated import Replicated
from tests.simulation.whole.target import Sent, Target
from tests.simulation.whole.worker import SimWorker
from tests.simulation.world import Report, World

_REPORT_EVERY_S = 0.1
_REPORT_TRIES = 100


@dataclass(frozen=True, slots=True)
class WholeOptions:
    """What a whole run has beside the options of consensus."""

    processes: tuple[str, ...]
    clients: int = 3
    pause_s: float = 0.4
    input_bytes: int = 20
    inline_bytes_max: int = 16_384
    wall_off_s: float = 0.0
    slow: float = 0.0
    """So many of the requests take the target some time, also when it is well."""
    leaving_s: float = 0.0
    """Up to so long after the check the first byte leaves: what the kernel holds back."""
    enforces_leases: bool = True
    scheduled: bool = False
    """A schedule submits, too."""


class WholeHost(Host):
    """A machine whose one process is a node process with workers beside it."""

    scene: "WholeWorld"

    def kill(self, *, silently: bool = False) -> None:
        member, machine = self.member, self.scene.machines[self.name]
        super().kill(silently=silently)
        if isinstance(member, NodeMember):
            member.loop.kill()
        if silently:
            machine.power_lost()
        elif isinstance(member, NodeMember):
            machine.node_ended(self.scene.life_of(self), reports=True)

    def stop(self) -> None:
        super().stop()
        if isinstance(self.member, NodeMember) and self.state is ProcessState.STOPPED:
            self.member.loop.stop()

    def resume(self) -> None:
        super().resume()
        if isinstance(self.member, NodeMember):
            self.member.loop.resume()

    def applied(self, index: int, term: int, data: bytes, *, in_term: int) -> None:
        super().applied(index, term, data, in_term=in_term)
        copy = self.register
        assert isinstance(copy, Replicated)
        if copy.last is not None:
            state = copy.replica.state
            self.scene.promises.applied(index, data, copy.last, copy.said, state)

    def round_soon(self) -> None:
        """The node asked its part in consensus for something."""
        self.call(_nothing)

    def documents_failed(self, reason: str) -> None:
        """The document store is broken: the life ends, and begins anew on what the disk holds."""
        self._queue.after(0.0, self._failed_now, self.life, reason)

    def _failed_now(self, life: int, reason: str) -> None:
        if life == self.life and self.state is ProcessState.RUNNING:
            self._end(reason, restart_s=None)

    def died_in_disk_operation(self) -> None:
        """A disk operation of the node killed the process."""
        self._end("killed in a disk operation", restart_s=0.0)


class WholeWorld(World):
    """One run."""

    # Executions may have to wait behind each other for slots and keys, or for people.
    draining_max_s = 150.0

    def __init__(
        self,
        seed: int,
        options: Options,
        whole: WholeOptions,
        *,
        guards: Guards,
        election_s: float,
        faults: tuple[Fault, ...] | None = None,
    ) -> None:
        self.whole = whole
        self.limits = Limits(
            payload_inline_bytes_max=whole.inline_bytes_max,
            document_repair_every_ms=1_000,
            document_collect_every_ms=2_000,
        )
        self.timing = Timing()
        self.machines: dict[str, Machine] = {}
        self._loops: list[ProcessLoop] = []
        self._controls: dict[str, Control] = {}
        self._workers = 0
        self.guards = guards
        self.seed = seed
        self.promises = Promises(self._missed, self._arrived, self._latest_ms)
        super().__init__(seed, options, self._make_member, election_s=election_s, faults=faults)

    def _missed(self, invariant: str, detail: str) -> None:
        self.checker.missed(invariant, detail)

    def _arrived(self, key: str) -> int:
        return self.target.arrived.get(key, 0)

    def _latest_ms(self) -> int:
        foremost_s = max(self._wall_off_s(name) for name in self.hosts)
        return int((WALL_EPOCH_S + self.queue.now_s + foremost_s) * 1000)

    # Parts.

    def _make_host(self, name: str, founders: tuple[str, ...], factory: MemberFactory) -> Host:
        make: Any = lambda: Replicated(self.limits)  # noqa: E731 - the type of the seam
        host = WholeHost(
            name, founders, factory=factory, make_register=make, **self._host_parts(name)
        )
        host.scene = self
        machine = Machine(name, self.queue, host.clock, self._rng(f"supervisor {name}"))
        machine.enforces_leases = self.whole.enforces_leases
        machine.make_worker = self._make_worker
        machine.report_death = lambda life: self._report_death(name, life)
        self.machines[name] = machine
        return host

    def _make_traffic(self) -> Traffic:
        whole = self.whole
        self.target = Target(self.queue, self._rng("target"), self._effect, slow=whole.slow)
        users: Any = Users(
            self.queue,
            self._rng("users"),
            self.hosts,
            promises=self.promises,
            target=self.target,
            kinds=whole.processes,
            clients=whole.clients,
            pause_s=whole.pause_s,
            input_bytes=whole.input_bytes,
            scheduled=whole.scheduled,
        )
        return users  # type: ignore[no-any-return]

    def life_of(self, host: Host) -> str:
        """The name of the life that a node process has now."""
        return f"{host.name}.{host.life}"

    def _make_member(self, port: Port) -> Member:
        host = self.hosts[port.name]
        assert isinstance(host, WholeHost)
        rng = self._rng(f"process {self.life_of(host)}")
        wall_off_s = self._wall_off_s(host.name)

        def failed(what: str) -> None:
            self.checker.missed("a process does not fail by itself", f"{host.name}: {what}")

        loop = ProcessLoop(  # type: ignore[abstract]
            host.name, self.queue, host.clock, rng, failed=failed, wall_off_s=wall_off_s
        )
        self._loops.append(loop)
        loop.after_turn = lambda: host.died_in_disk_operation() if host.disk.is_dead else None
        try:
            member = NodeMember(
                port,
                loop,
                self.guards,
                limits=self.limits,
                make_node=lambda member: self._make_node(host, member),
                soon=host.round_soon,
            )
        except BaseException:
            loop.kill()
            raise
        assert member.node is not None
        self.machines[host.name].node_started(self._controls[host.name])
        loop.start(member.node.run(), lambda error: failed(f"ended: {error!r}"))
        return member

    def _make_node(self, host: WholeHost, member: NodeMember) -> Node:
        control = Control(self.machines[host.name], host.life, member.loop)
        self._controls[host.name] = control

        def fatal(message: str) -> None:
            self.checker.missed("a node does not stop by itself", f"{host.name}: {message}")

        return Node(
            Around(
                name=host.name,
                life=self.life_of(host),
                voters=host.voters,
                timing=self.timing,
                limits=self.limits,
                consensus=member,
                copy=member.copy,
                documents=Documents(
                    host.disk,
                    failed=host.documents_failed,
                ),
                calls=member.calls,
                control=control,
                on_fatal=fatal,
                on_put=partial(self.promises.put, host.name),
            )
        )

    def _make_worker(self, machine: Machine, name: str) -> SimWorker:
        member = self.hosts[machine.name].member
        assert isinstance(member, NodeMember)
        assert member.node is not None
        self._workers += 1

        def failed(what: str) -> None:
            self.checker.missed(
                "a process does not fail by itself", f"{machine.name}/{name}: {what}"
            )

        worker = SimWorker(
            name,
            machine,
            member.loop,
            member.node.workers.serve,
            target=self.target,
            failed=failed,
            sees=self._worker_told,
            leaves=self._leaves,
            leaving_s=self.whole.leaving_s,
            limits=self.limits,
            timing=self.timing,
            rng=self._rng(f"worker {self._workers}"),
            wall_off_s=self._wall_off_s(machine.name),
        )
        self._loops.append(worker.loop)
        return worker

    def _wall_off_s(self, name: str) -> float:
        return self.whole.wall_off_s * (int(name[1:]) - 2)

    # Faults.

    def _strike(self, fault: Fault) -> None:
        self.note("fault", fault)
        kind: object = fault.kind
        is_whole = isinstance(kind, WholeKind)
        self._struck += (whole_faults.strike if is_whole else strike)(self, fault)

    def lose_tree(self, host: Host, restart_s: float) -> None:
        """Kill the supervisor with all below it; connections close as with any process."""
        machine = self.machines[host.name]
        machine.power_lost()
        if isinstance(host.member, NodeMember):
            host.member.loop.kill()
        self.crash(host, power=None, restart_s=restart_s)
        machine.forget()

    def _start_of(self, host: Host, turn: int) -> None:
        if self.machines[host.name].is_frozen:
            # Its supervisor starts it, once it is awake.
            self.queue.after(0.1, self._start_of, host, turn)
            return
        super()._start_of(host, turn)

    def heal_all(self) -> None:
        for machine in self.machines.values():
            machine.thaw()
        super().heal_all()

    # What is seen.

    def _worker_told(self, worker: SimWorker, order: w.ToWorker) -> None:
        if order.WhichOneof("kind") == "run":
            self.promises.told(order.run.execution, order.run.token)

    def _leaves(self, worker: SimWorker, sent: Sent) -> None:
        execution = sent.key.split("/", 1)[0]
        self.note("leaves", sent.process, sent.key)
        self.promises.leaves(execution, worker.tokens.get(execution, 0), sent)

    def _effect(self, sent: Sent) -> None:
        self.note("effect", sent.key)
        self.promises.arrived(sent, self.target.arrived[sent.key])

    # The supervisor's report.

    def _report_death(self, name: str, life: str) -> None:
        others = [voter for voter in self.hosts if voter != name]
        self._say_death(name, life, [*others, name], 0)

    def _say_death(self, name: str, life: str, order: list[str], tries: int) -> None:
        """Tell one voter after another until one took it."""
        if tries >= _REPORT_TRIES or self.machines[name].is_frozen:
            return
        voter = order[tries % len(order)]
        pause_s = _REPORT_EVERY_S if (tries + 1) % len(order) == 0 else 0.005

        def again() -> None:
            self._say_death(name, life, order, tries + 1)

        host = self.hosts[voter]
        member = host.member
        is_cut = voter != name and (
            self.network.is_blocked(name, voter) or self.network.is_blocked(voter, name)
        )
        if is_cut or host.state is not ProcessState.RUNNING or not isinstance(member, NodeMember):
            self.queue.after(pause_s, again)
            return
        node, loop = member.node, member.loop
        assert node is not None

        async def tell() -> None:
            try:
                await node.report_death(name, life)
            except NoLeader:
                self.queue.after(pause_s, again)
            except Exception:  # noqa: BLE001 - whatever it was, the next voter is asked
                self.queue.after(_REPORT_EVERY_S, again)

        self.queue.after(0.002, loop.post, lambda: loop.create_task(tell()))

    def end(self) -> None:
        """No process runs any more."""
        for loop in self._loops:
            loop.bury()

    def _report(self) -> Report:
        report = super()._report()
        return replace(report, member_changes=0)


def _nothing(_: Member) -> None:
    """A round is all that is wanted."""
