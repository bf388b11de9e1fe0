"""What must hold of every state, recounted the slow way for tests, simulation and the alarm.

Nothing here is used to decide. What stays true: each index and counter equals what the tables say.
"""

from collections import Counter
from collections.abc import Iterator

from molecule.cluster import losses, queues, transitions, views
from molecule.cluster.execution import (
    Execution,
)
from molecule.cluster.state import (
    ClusterState,
)
from molecule.model.execution import PARKED, TERMINAL, ExecutionState
from molecule.model.ids import Digest

_S = ExecutionState


def broken(state: ClusterState) -> list[str]:
    """Every invariant that does not hold, in words; empty for a good state."""
    return [
        *_conservation(state),
        *_holders(state),
        *_lanes(state),
        *_keys(state),
        *_waits(state),
        *_gates(state),
        *_dedup(state),
        *_groups(state),
        *_documents(state),
        *_retention(state),
        *_losses(state),
        *_members(state),
        *_tables(state),
        *_claims(state),
    ]


def _conservation(state: ClusterState) -> Iterator[str]:
    """Conservation: accepted = completed + failed + cancelled + active + parked."""
    count = views.conservation(state)
    others = sum(number for name, number in count.items() if name != "accepted")
    if count["accepted"] != others:
        yield f"conservation: {count}"
    recount = Counter(execution.state for execution in state.executions.values())
    for name in ExecutionState:
        if name in TERMINAL:
            if recount[name]:
                yield f"{recount[name]} terminal executions among the live ones"
        elif recount[name] != state.counts[name]:
            yield f"{name}: counted {state.counts[name]}, recounted {recount[name]}"


def _holders(state: ClusterState) -> Iterator[str]:
    """One owner: each assignment has its own token and lies with one living incarnation."""
    tokens: set[int] = set()
    for execution in state.executions.values():
        if execution.state is not _S.ASSIGNED:
            continue
        if execution.token in tokens or not 0 < execution.token <= state.token_last:
            yield f"token {execution.token} of {execution.id}"
        tokens.add(execution.token)
        node = state.nodes.get(execution.node)
        if node is None or not node.is_up or node.incarnation != execution.incarnation:
            yield f"{execution.id} lies with {execution.node}, which is not there"
        elif execution.id not in node.held:
            yield f"{execution.id} is not among what {node.id} holds"
    for node in state.nodes.values():
        if len(node.held) > node.slots:
            yield f"{node.id} holds {len(node.held)} in {node.slots} slots"
        for execution_id in node.held:
            if state.executions[execution_id].node != node.id:
                yield f"{node.id} holds {execution_id}, which is elsewhere"
        if list(node.held) != sorted(node.held, key=lambda id_: state.executions[id_].token):
            yield f"what {node.id} holds is out of order"
    for trigger in state.triggers.values():
        node = state.nodes.get(trigger.node)
        if node is None or not node.is_up or node.incarnation != trigger.incarnation:
            yield f"trigger of {trigger.process} lies with {trigger.node}, which is not there"
    held: Counter[tuple[str, str]] = Counter(
        (execution.environment, execution.process)
        for execution in state.executions.values()
        if execution.state is _S.ASSIGNED
    )
    live = Counter((item.environment, item.process) for item in state.executions.values())
    for name, share in state.shares.items():
        if share.open != live[name]:
            yield f"open of {name}: counted {share.open}, recounted {live[name]}"
        if share.held != held[name]:
            yield f"share of {name}: counted {share.held}, recounted {held[name]}"


def _lanes(state: ClusterState) -> Iterator[str]:
    """A pending execution is in exactly one lane, in order, or its key is held by earlier ones."""
    placed: list[str] = []
    for lane, ids in state.lanes.items():
        if any(id_ not in state.executions for id_ in ids):
            yield f"lane {lane} has executions that are not there"
            continue
        serials = [state.executions[id_].ready_serial for id_ in ids]
        if serials != sorted(serials) or not ids:
            yield f"lane {lane} is out of order"
        placed.extend(ids)
        yield from (
            f"{id_} is in the lane of others"
            for id_ in ids
            if queues.lane_of(state.executions[id_]) != lane
        )
    ready = [execution.id for execution in state.executions.values() if execution.ready_serial]
    if sorted(placed) != sorted(ready):
        yield "lanes and ready executions differ"
    for execution in state.executions.values():
        is_pending = execution.state is _S.PENDING
        if execution.ready_serial and not is_pending:
            yield f"{execution.id} is ready and {execution.state}"
        if is_pending and not execution.ready_serial and queues.holds_key(state, execution):
            yield f"{execution.id} holds its key and is in no lane"


def _keys(state: ClusterState) -> Iterator[str]:
    """Order of commit: whoever runs or may run holds its key, and earlier ones came first."""
    keyed = [item for item in state.executions.values() if queues.wants_key(state, item)]
    if len(keyed) != sum(len(ids) for ids in state.key_queues.values()):
        yield "key queues and keyed executions differ"
    for name, ids in state.key_queues.items():
        if any(id_ not in state.executions for id_ in ids):
            yield f"the queue of key {name} has executions that are not there"
            continue
        serials = [state.executions[id_].key_serial for id_ in ids]
        if serials != sorted(serials):
            yield f"the queue of key {name} is out of order"
    for name, hold in state.key_holds.items():
        if hold.dead_letters <= 0 or hold.execution in state.executions:
            yield f"key {name} is held for {hold}"


def _waits(state: ClusterState) -> Iterator[str]:
    waiting = [item for item in state.executions.values() if item.state is _S.WAITING]
    if sum(item.wait_until_ms > 0 for item in waiting) != len(state.waits):
        yield "waits and waiting executions differ"
    for item in state.executions.values():
        awaited = item.progress.awaited if item.progress is not None else ()
        if awaited and item.state is not _S.WAITING:
            yield f"{item.id} is {item.state} and waits for signals"
        if transitions.has_awaited(item) and not item.wait_until_ms:
            yield f"{item.id} waits for a signal that is there"
    timed = [
        item
        for item in state.executions.values()
        if item.deadline_at_ms and item.state not in PARKED
    ]
    unbegun = [
        item
        for item in state.executions.values()
        if item.expires_at_ms and item.state is _S.PENDING and not item.started_at_ms
    ]
    if len(unbegun) != len(state.expiries):
        yield "expiries and executions that may expire differ"
    if len(timed) != len(state.deadlines):
        yield "deadlines and executions with a time-out differ"
    held = [item for item in state.executions.values() if item.held_for]
    if len(held) != len(state.holds):
        yield "holds and executions that wait for one node differ"
    parked = [item.id for item in state.executions.values() if item.state in PARKED]
    if sorted(parked) != sorted(state.parked):
        yield "parked executions and their index differ"


def _gates(state: ClusterState) -> Iterator[str]:
    """Who waits before a gate is in its line, in the order of acceptance, and nobody else."""
    expected: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for item in state.executions.values():
        name = item.progress.gate if item.progress is not None else ""
        if name and item.state is _S.WAITING:
            place = (item.accepted_serial, item.id)
            expected.setdefault((item.environment, name), []).append(place)
        elif name and item.id not in state.connections[item.environment, name].passes:
            yield f"{item.id} was let through to {name} without a pass"
    for key, connection in state.connections.items():
        if connection.waiting != sorted(expected.pop(key, [])):
            yield f"the line before {key} and those who wait differ"
        for id_ in connection.passes:
            execution = state.executions.get(id_)
            if execution is None or execution.state not in (_S.PENDING, _S.ASSIGNED):
                yield f"{id_} has a pass of {key} and does not run"
    if expected:
        yield f"executions wait before unknown gates: {sorted(expected)}"


def _dedup(state: ClusterState) -> Iterator[str]:
    """A key names exactly one execution for as long as it counts."""
    known: list[str] = [item.idempotency_key for item in state.executions.values()]
    known.extend(item.idempotency_key for item in state.ended.values())
    if sorted(known) != sorted(state.keys) or len(set(known)) != len(known):
        yield "idempotency keys and executions differ"
    lines = [execution_id for line in state.windows.values() for execution_id in line]
    if sorted(lines) != sorted(state.ended):
        yield "ended executions and the lines of their windows differ"
    for window, line in state.windows.items():
        found = [state.ended[execution_id] for execution_id in line if execution_id in state.ended]
        serials = [ended.serial for ended in found]
        if serials != sorted(serials) or any(ended.window_ms != window for ended in found):
            yield f"the line of window {window} is out of order"
    if any(execution_id in state.ended for execution_id in state.executions):
        yield "an execution is live and ended at once"


def _groups(state: ClusterState) -> Iterator[str]:
    live: Counter[str] = Counter(execution.group for execution in state.executions.values())
    for group in state.groups.values():
        ended = group.completed + group.failed + group.cancelled
        if group.open != live[group.id] or group.accepted != group.open + ended:
            yield f"group {group.id}: open {group.open}, live {live[group.id]}"


def _documents(state: ClusterState) -> Iterator[str]:
    """What a live or retained execution refers to is counted at least that often."""
    wanted: Counter[str] = Counter()
    for execution in state.executions.values():
        wanted.update(_refers_to(execution))
    for table in state.retained.values():
        for kept in table.values():
            wanted.update(kept.digests)
    for digest, times in wanted.items():
        use = state.documents.get(Digest(digest))
        if use is None or use.count < times:
            yield f"document {digest} is referred to {times} times and counted less"


def _retention(state: ClusterState) -> Iterator[str]:
    """Only what is terminal is retained, in the order of its end, and no horizon is ahead."""
    for name, table in state.retained.items():
        order = [(kept.ended_at_ms, kept.serial) for kept in table.values()]
        if order != sorted(order):
            yield f"what is retained of {name} is out of order"
        yield from (f"{id_} is live and retained" for id_ in table if id_ in state.executions)
    for name, before_ms in state.horizons.items():
        if before_ms > state.time_ms:
            yield f"the horizon of {name} is ahead of the cluster's time"


def _refers_to(execution: Execution) -> Iterator[str]:
    yield from execution.input.digests
    if execution.progress is not None:
        yield from execution.progress.position.digests
    for signal in execution.signals.values():
        yield from signal.payload.digests
    yield from (item.request_digest for item in execution.intents.values() if item.request_digest)


def _members(state: ClusterState) -> Iterator[str]:
    """A node that left is in no table of nodes, and a token that was used says by whom."""
    for name, known in state.admissions.items():
        if known.gone and name in state.nodes:
            yield f"{name} left and is among the nodes"
        if known.node != name:
            yield f"the admission of {name} names {known.node}"
    for digest, token in state.join_tokens.items():
        if token.digest != digest or bool(token.used_by) != bool(token.request):
            yield f"join token {digest[:8]} is torn"
    for node in state.nodes.values():
        if node.drain_life and not node.is_draining:
            yield f"{node.id} drains for a life and does not drain"
        if bool(node.drain_index) != node.is_draining:
            yield f"{node.id} drains by no command, or does not drain by one"


def _losses(state: ClusterState) -> Iterator[str]:
    """Post-mortems are bounded, in order, and count at least what they name."""
    if len(state.losses) > losses.LOSSES_MAX:
        yield f"{len(state.losses)} post-mortems"
    if list(state.losses.values()) != sorted(state.losses.values(), key=lambda loss: loss.index):
        yield "post-mortems are out of order"
    for loss in state.losses.values():
        doubts = sum(known.doubts for known in loss.executions.values())
        if len(loss.executions) > loss.moved or doubts > loss.doubts:
            yield f"post-mortem {loss.id} names more than it counts"
        if loss.repeated > loss.moved:
            yield f"post-mortem {loss.id}: {loss.repeated} repeated of {loss.moved} moved"


def _tables(state: ClusterState) -> Iterator[str]:
    """Indexes and bytes of key tables are what the rows say; each unique value has one row."""
    count: Counter[str] = Counter()
    for name, table in state.key_tables.items():
        if not table.rows:
            yield f"the table {name} is empty"
        pairs = [(pair, key) for key, row in table.rows.items() for pair in row.unique]
        if len(pairs) != len(table.found_by) or dict(pairs) != table.found_by:
            yield f"unique keys of {name}"
        count[name.environment] += sum(row.size_bytes(key) for key, row in table.rows.items())
    if count != state.tables_bytes:
        yield f"bytes of tables: counted {state.tables_bytes}, recounted {count}"


def _claims(state: ClusterState) -> Iterator[str]:
    """A claim without an end belongs to an execution that has not ended, which knows of it."""
    known_of = sorted(
        (name, execution.id)
        for execution in state.executions.values()
        for name in (execution.progress.claims if execution.progress else ())
    )
    claims = state.claims.items()
    unended = sorted((name, claim.execution) for name, claim in claims if not claim.until_ms)
    if known_of != unended:
        yield f"claims of executions: {known_of}, {unended}"
    ends = Counter(state.claim_ends)
    for name, claim in claims:
        if claim.until_ms and not ends[claim.until_ms, name]:
            yield f"the claim {name} never ends"
