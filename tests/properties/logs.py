"""Logs for the properties: abstract choices become commands that fit the state, or just miss it.

A choice is a handful of small numbers, so that hypothesis can shrink it and a seed can make it.
"""

import random
from collections.abc import Callable
from typing import Any

from molecule.cluster.apply import StateMachine
from molecule.cluster.state import ClusterState
from molecule.model.ids import ExecutionId, NodeId, ProcessName
from molecule.wire.v1 import commands_pb2 as wire
from tests.properties import draining, key_words, waits
from tests.properties.beginning import ENVIRONMENT, PROCESSES, setting_up
from tests.properties.log_purges import purge
from tests.properties.model_parts import KEEPS

START_MS = 1_700_000_000_000
NODES = (NodeId("n1"), NodeId("n2"), NodeId("n3"))
STEPS = ("store", "tell")
KEYS = ("a", "b", "c")
ENDS = ("COMPLETED", "FAILED", "IN_DOUBT", "WAITING", "PENDING")

Choice = tuple[int, int, int, int, int]
"""Kind, then four numbers of which each kind uses what it needs."""


def entry(at_ms: int, *commands: wire.Command) -> bytes:
    """Commands as one entry of the log."""
    return wire.Entry(at_ms=at_ms, commands=commands).SerializeToString(deterministic=True)


def command(state: ClusterState, choice: Choice) -> wire.Command:
    """The command of a choice; tokens, epochs and incarnations are right or just wrong."""
    kind, *numbers = choice
    write = _WRITERS[kind % len(_WRITERS)]
    return wire.Command(version=1, **write(state, *numbers))


def seeded(seed: int, length: int) -> list[bytes]:
    """A log that depends on the seed alone."""
    chance = random.Random(seed)
    machine = StateMachine()
    log = [entry(START_MS, *setting_up())]
    machine.apply_entry(1, 1, log[0])
    at_ms = START_MS
    for index in range(2, length + 2):
        at_ms += chance.choice((0, 10, 1_000, 5_000))
        choices = [chosen(chance) for _ in range(chance.randint(1, 3))]
        log.append(entry(at_ms, *(command(machine.state, choice) for choice in choices)))
        machine.apply_entry(index, 1, log[-1])
    return log


def chosen(chance: random.Random) -> Choice:
    """A random choice; executions must start before anything can happen to them."""
    kind = chance.choices(range(len(_WRITERS)), weights=WEIGHTS)[0]
    first, second, third, fourth = (chance.randrange(12) for _ in range(4))
    return kind, first, second, third, fourth


def _any(state: ClusterState, number: int) -> str:
    """A live execution, now and then the first one, which may be over or not there."""
    live = sorted(state.executions)
    return live[number % len(live)] if live and number != 11 else "e0"


def _in(state: ClusterState, number: int, *names: str) -> str:
    """An execution in one of these states; any other when there is none, or now and then."""
    found = sorted(item.id for item in state.executions.values() if item.state in names)
    return found[number % len(found)] if found and number < 10 else _any(state, number)


def _token(state: ClusterState, name: str, offset: int) -> int:
    id_ = ExecutionId(name)
    execution = state.executions.get(id_) or state.ended.get(id_)
    return int(execution.token if execution else 0) - (offset % 8 == 7)


def _incarnation(state: ClusterState, name: str, offset: int) -> int:
    node = state.nodes.get(NodeId(name))
    return int(node.incarnation if node else 0) - (offset % 8 == 7)


def _epoch(state: ClusterState, offset: int) -> int:
    return state.epoch - (offset % 8 == 7)


def _submit(state: ClusterState, a: int, b: int, c: int, d: int) -> dict[str, Any]:
    node = NODES[b % 3]
    hint = wire.PlacementHint(node=node, incarnation=_incarnation(state, node, d))
    # Mostly a new one; else the name or the key was used before.
    number = state.totals["accepted"] if a < 9 else a - 9
    return {
        "submit_execution": wire.SubmitExecution(
            execution=f"e{number}",
            idempotency_key=f"key{number if a != 11 else number + 1}",
            body_digest="other" if d % 8 == 6 else "body",
            environment=ENVIRONMENT,
            process=PROCESSES[c % len(PROCESSES)],
            concurrency_key=("", "", "x", "y")[d % 4],
            hint=hint if b % 2 else None,
            priority=1 + c % 2,
            input=wire.Payload(stored=wire.DocumentRef(digest=f"d{a % 4}", size_bytes=10)),
        )
    }


def _assign(state: ClusterState, a: int, b: int, c: int, d: int) -> dict[str, Any]:
    node = NODES[b % 3]
    return {
        "assign_execution": wire.AssignExecution(
            epoch=_epoch(state, c),
            execution=_in(state, a, "PENDING"),
            node=node,
            incarnation=_incarnation(state, node, d),
        )
    }


def _register(state: ClusterState, a: int, b: int, c: int, _d: int) -> dict[str, Any]:
    life = f"life{state.incarnation_last}"
    down = [name for name in NODES if name not in state.nodes or not state.nodes[name].is_up]
    name = down[a % len(down)] if down else NODES[a % 3]
    known = state.nodes.get(name)
    if known and b % 4 == 0:
        life = known.life
    if known and known.past_lives and b % 4 == 1:
        life = known.past_lives[-1]
    return {"register_node": wire.RegisterNode(node=name, life=life, slots=1 + c % 3)}


def _death(state: ClusterState, a: int, b: int, _c: int, _d: int) -> dict[str, Any]:
    node = state.nodes.get(NODES[a % 3])
    life = node.life if node and b % 3 else "another"
    return {"report_node_death": wire.ReportNodeDeath(node=NODES[a % 3], life=life)}


def _expire(state: ClusterState, a: int, b: int, c: int, _d: int) -> dict[str, Any]:
    node = NODES[a % 3]
    return {
        "expire_node": wire.ExpireNode(
            epoch=_epoch(state, b), node=node, incarnation=_incarnation(state, node, c)
        )
    }


def _worker(state: ClusterState, a: int, b: int, c: int, d: int) -> dict[str, Any]:
    held = [
        wire.ReportWorkerDeath.Held(
            execution=name, token=_token(state, name, d), running_step=step, alone=b % 3 > 0
        )
        for name, step in ((_in(state, a, "ASSIGNED"), "store"), (_any(state, b), ""))
    ]
    name = _in(state, a, "ASSIGNED")
    execution = state.executions.get(ExecutionId(name))
    node = execution.node if execution and c % 4 else NODES[c % 3]
    return {"report_worker_death": wire.ReportWorkerDeath(node=node, held=held)}


def _checkpoint(state: ClusterState, a: int, b: int, c: int, d: int) -> dict[str, Any]:
    name = _in(state, a, "ASSIGNED")
    execution = state.executions.get(ExecutionId(name))
    sequence = (execution.sequence if execution else 0) + (1, 1, 1, 0, 2)[c % 5]
    stored = wire.DocumentRef(digest=f"d{b % 4}", size_bytes=10)
    return {
        "record_checkpoint": wire.RecordCheckpoint(
            execution=name,
            token=_token(state, name, d),
            sequence=sequence,
            position=wire.Payload(stored=stored),
            steps=[wire.StepRecord(step=STEPS[b % 2])],
            dead_letters=[wire.DeadLetter(document="d")] * (c % 2),
            consumed=[f"s{c % 5}"],
        )
    }


def _intend(state: ClusterState, a: int, b: int, c: int, d: int) -> dict[str, Any]:
    intents = [
        wire.Intent(
            effect_key=key,
            step=STEPS[c % 2],
            effect="idempotent" if c % 3 == 2 else "once",
            timeout_ms=1_000 * (c % 4),
            request=wire.DocumentRef(digest=f"d{c % 4}", size_bytes=10),
        )
        for key in KEYS[: 1 + b % 3]
    ]
    name = _in(state, a, "ASSIGNED")
    token = _token(state, name, d)
    return {"record_intents": wire.RecordIntents(execution=name, token=token, intents=intents)}


def _confirm(state: ClusterState, a: int, b: int, c: int, d: int) -> dict[str, Any]:
    how = ("sent", "verified_done", "verified_not_done", "failed_definitely")[c % 4]
    name = _in(state, a, "ASSIGNED")
    told = [wire.Confirmation(effect_key=key, how=how) for key in KEYS[b % 3 :]]
    return {
        "confirm_effects": wire.ConfirmEffects(
            execution=name, token=_token(state, name, d), confirmations=told[: 1 + c % 2]
        )
    }


def _end(state: ClusterState, a: int, b: int, c: int, d: int) -> dict[str, Any]:
    name = _in(state, a, "ASSIGNED")
    return {
        "end_attempt": wire.EndAttempt(
            execution=name,
            token=_token(state, name, d),
            state=ENDS[b % len(ENDS)],
            result=wire.Payload(stored=wire.DocumentRef(digest=f"d{c % 4}", size_bytes=10)),
            **waits.ways(c, d),
        )
    }


def _signal(state: ClusterState, a: int, b: int, c: int, _d: int) -> dict[str, Any]:
    return {"signal_execution": waits.told(_in(state, a, "WAITING", "ASSIGNED"), b, c)}


def _use(state: ClusterState, a: int, b: int, c: int, d: int) -> dict[str, Any]:
    name = _in(state, a, "ASSIGNED")
    return key_words.use(state, name, _token(state, name, d), (b, c))


def _claim_key(state: ClusterState, a: int, b: int, c: int, d: int) -> dict[str, Any]:
    name = _in(state, a, "ASSIGNED")
    return key_words.claim(state, name, _token(state, name, d), (b, c))


def _cancel(state: ClusterState, a: int, _b: int, _c: int, _d: int) -> dict[str, Any]:
    return {"cancel_execution": wire.CancelExecution(execution=_any(state, a))}


def _resolve(state: ClusterState, a: int, b: int, _c: int, _d: int) -> dict[str, Any]:
    answer = ("done", "not_done", "fail", "ask")[b % 4]
    name = _in(state, a, "IN_DOUBT")
    execution = state.executions.get(ExecutionId(name))
    intents = execution.intents if execution else {}
    keys = [key for key, intent in intents.items() if intent.is_in_doubt]
    answers = [wire.Answer(effect_key=key, answer=answer) for key in keys[: 1 + b % 3]]
    return {"resolve_effects": wire.ResolveEffects(execution=name, answers=answers)}


def _release(state: ClusterState, a: int, b: int, c: int, _d: int) -> dict[str, Any]:
    name = _in(state, a, "WAITING")
    execution = state.executions.get(ExecutionId(name))
    progress = execution.progress if execution else None
    return {
        "release_execution": wire.ReleaseExecution(
            epoch=_epoch(state, b),
            execution=name,
            wait_number=(progress.wait_number if progress else 0) - (c % 8 == 7),
        )
    }


def _fail(state: ClusterState, a: int, b: int, c: int, _d: int) -> dict[str, Any]:
    return {
        "fail_execution": wire.FailExecution(
            epoch=_epoch(state, b),
            execution=_any(state, a),
            error_code=("timeout", "timeout", "expired")[c % 3],
        )
    }


def _release_parked(state: ClusterState, a: int, b: int, _c: int, _d: int) -> dict[str, Any]:
    name = _in(state, a, ("HELD", "QUARANTINED", "QUARANTINED", "IN_DOUBT")[b % 4])
    return {"release_parked": wire.ReleaseParked(execution=name)}


def _fail_parked(state: ClusterState, a: int, b: int, _c: int, _d: int) -> dict[str, Any]:
    name = _in(state, a, ("HELD", "QUARANTINED", "IN_DOUBT", "PENDING")[b % 4])
    return {"fail_parked": wire.FailParked(execution=name)}


def _end_hold(state: ClusterState, a: int, b: int, c: int, d: int) -> dict[str, Any]:
    name = _in(state, a, ("HELD", "HELD", "PENDING")[c % 3])
    return {
        "end_hold": wire.EndHold(
            epoch=_epoch(state, b), execution=name, token=_token(state, name, d)
        )
    }


def _pause(state: ClusterState, a: int, b: int, _c: int, _d: int) -> dict[str, Any]:
    paused = sorted(name for (_, name), item in state.deployments.items() if item.pause)
    process = paused[0] if paused else PROCESSES[a % len(PROCESSES)]
    # Seldom for long, or nothing would ever run.
    said = wire.PauseProcess(environment=ENVIRONMENT, process=process, paused=not paused and b > 3)
    return {"pause_process": said}


def _settle_key(state: ClusterState, a: int, b: int, _c: int, _d: int) -> dict[str, Any]:
    held = sorted(state.key_holds)
    key = held[a % len(held)].key if held and b % 4 else "x"
    said = wire.SettleKey(environment=ENVIRONMENT, process=KEEPS, concurrency_key=key)
    return {"settle_key": said}


def _claim(_: ClusterState, a: int, _b: int, _c: int, _d: int) -> dict[str, Any]:
    return {"claim_leadership": wire.ClaimLeadership(node=NODES[a % 3])}


def _trigger(state: ClusterState, a: int, b: int, c: int, _d: int) -> dict[str, Any]:
    node = NODES[a % 3]
    return {
        "assign_trigger": wire.AssignTrigger(
            epoch=_epoch(state, b),
            environment=ENVIRONMENT,
            process="files",
            node=node if c % 5 else "",
            incarnation=_incarnation(state, node, c),
        )
    }


def _group(state: ClusterState, a: int, b: int, c: int, d: int) -> dict[str, Any]:
    trigger = state.triggers.get((ENVIRONMENT, ProcessName("files")))
    word = wire.RecordGroup(
        group=f"g{a % 2}",
        environment=ENVIRONMENT,
        process="files",
        trigger_token=trigger.token if trigger and d % 4 else 1,
        through=b,
        closed=c % 3 == 0,
        rejected=c % 2,
        bad_records=[wire.DeadLetter(document="bad")] if c % 2 else [],
    )
    return {"record_group": word}


def _settle(state: ClusterState, a: int, _b: int, _c: int, d: int) -> dict[str, Any]:
    trigger = state.triggers.get((ENVIRONMENT, ProcessName("files")))
    token = trigger.token if trigger and d % 4 else 1
    return {"settle_group": wire.SettleGroup(group=f"g{a % 2}", trigger_token=token)}


def _submit_of_group(state: ClusterState, a: int, b: int, c: int, d: int) -> dict[str, Any]:
    trigger = state.triggers.get((ENVIRONMENT, ProcessName("files")))
    made = _submit(state, a, b, c, d)
    made["submit_execution"].process = "files"
    made["submit_execution"].group = f"g{a % 2}"
    made["submit_execution"].trigger_token = trigger.token if trigger and d % 4 else 1
    return made


_Writer = Callable[[ClusterState, int, int, int, int], dict[str, Any]]

_WRITERS: tuple[_Writer, ...] = (
    _submit,
    _assign,
    _register,
    _end,
    _checkpoint,
    _intend,
    _confirm,
    _worker,
    _death,
    _expire,
    _resolve,
    _release,
    _cancel,
    _fail,
    _release_parked,
    _fail_parked,
    _end_hold,
    _signal,
    _pause,
    _settle_key,
    draining.drain,
    draining.undrain,
    _use,
    _claim_key,
    key_words.edit,
    _claim,
    purge,
    _trigger,
    _group,
    _settle,
    _submit_of_group,
    draining.token,
    draining.admit,
    draining.forget,
)

WEIGHTS = (
    *(12, 16, 4, 10, 8, 10, 8, 4, 1, 1, 6, 6, 1, 3, 2, 1, 3, 6, 3, 3, 2, 4, 8, 8, 1),
    *(1, 2, 3, 3, 2, 6),
    *(2, 2, 1),
)

KINDS_OF_THE_MODEL = _WRITERS.index(purge) + 1
"""The first ones; the model knows nothing of triggers and groups."""
