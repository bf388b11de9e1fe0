"""Commands that put versions and environments, make a version active, pause and let go.

Whether a definition is right was checked before it was proposed. What stays true: a version never
changes, and an active version exists.
"""

from dataclasses import replace
from typing import Final

from molecule.cluster import documents, gates, listening, queues, records, row_parts
from molecule.cluster.bounds import duration
from molecule.cluster.changes import Changes
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.overlap import ON_PARK, OVERLAPS
from molecule.cluster.state import (
    ClusterState,
    Deployment,
    Environment,
    KeyName,
    Pause,
    Version,
)
from molecule.model.ids import ProcessName, VersionId
from molecule.wire.v1 import commands_pb2 as wire

FAILOVERS: Final = ("resume", "restart", "hold", "fail")
CRASH_BUDGET: Final = 3
"""How many workers of its own may die running an execution, unless its version says otherwise."""

HOLD_FOR_MS: Final = 600_000
"""How long failover `hold` waits for the node, unless its version says otherwise."""
ISOLATIONS: Final = ("shared", "process")

DURABILITIES: Final = ("durable", "volatile")

_ON_DEAD_LETTER: Final = ("", "continue", "hold_key")
_SPREADS: Final = ("", "node", "zone")


def put_version(state: ClusterState, command: wire.PutVersion, changes: Changes) -> Outcome:
    """Keep a version; putting the same one again changes nothing."""
    options = command.options
    if not _is_name(command.process):
        return Rejected("invalid", {"field": "process"})
    if not _is_name(command.version):
        return Rejected("invalid", {"field": "version"})
    if options.failover not in ("", *FAILOVERS):
        return Rejected("invalid", {"field": "failover"})
    if options.isolation not in ("", *ISOLATIONS):
        return Rejected("invalid", {"field": "isolation"})
    if options.on_dead_letter not in _ON_DEAD_LETTER:
        return Rejected("invalid", {"field": "on_dead_letter"})
    if options.overlap not in ("", *OVERLAPS):
        return Rejected("invalid", {"field": "overlap"})
    if options.on_park not in ("", *ON_PARK):
        return Rejected("invalid", {"field": "on_park"})
    if options.spread not in _SPREADS:
        return Rejected("invalid", {"field": "spread"})
    if (unsound := _unsound_parts(options)) is not None:
        return Rejected("invalid", {"field": unsound})
    name = (ProcessName(command.process), VersionId(command.version))
    if name in state.versions:
        return Applied(0, {"repeated": True})

    row = "/".join(name)
    changes.dirty.mark("versions", row)
    state.versions[name] = Version(
        process=name[0],
        id=name[1],
        failover=options.failover or "resume",
        keyed=options.keyed,
        concurrency_limit=max(options.concurrency_limit, 1),
        timeout_ms=duration(options.timeout_ms),
        expires_ms=duration(options.expires_ms),
        dedup_window_ms=duration(options.dedup_window_ms),
        gates=tuple(row_parts.gate(policy) for policy in options.gates),
        crash_budget=max(options.crash_budget, 0) or CRASH_BUDGET,
        priority=options.priority,
        require=dict(sorted(options.require.items())),
        prefer=dict(sorted(options.prefer.items())),
        has_trigger=options.has_trigger,
        on_dead_letter=options.on_dead_letter or "continue",
        tracked=options.tracked,
        hold_for_ms=duration(options.hold_for_ms) or HOLD_FOR_MS,
        isolation=options.isolation or "shared",
        overlap=options.overlap or ("queue" if options.keyed else "allow"),
        on_park=options.on_park or "block",
        share=min(max(options.share, 1), queues.SHARE_MAX),
        zone=options.zone,
        spread=options.spread,
        package=documents.keep(
            state, changes, f"version/{row}", slot="package", payload=command.package
        ),
        put_at_ms=state.time_ms,
        actor=actor_text(command.actor),
        listener=listening.listener(options.listener) if options.HasField("listener") else None,
        durability=options.durability or "durable",
    )
    return Applied()


def _unsound_parts(options: wire.VersionOptions) -> str | None:
    if options.HasField("listener") and not listening.is_sound(options.listener):
        return "listener"
    if options.durability not in ("", *DURABILITIES):
        return "durability"
    return None if all(_is_name(policy.connection) for policy in options.gates) else "gates"


def put_environment(state: ClusterState, command: wire.PutEnvironment, changes: Changes) -> Outcome:
    """Set the values of an environment; triggers that may read them start anew."""
    if not _is_name(command.environment):
        return Rejected("invalid", {"field": "environment"})
    known = state.environments.get(command.environment)
    if known is not None and known.digest == command.digest:
        return Applied(0, {"repeated": True})

    owner = f"environment/{command.environment}"
    changes.dirty.mark("environments", command.environment)
    settings = documents.keep(state, changes, owner, slot="settings", payload=command.settings)
    if known is not None:
        documents.release(state, changes, known.settings.digests)
    state.environments[command.environment] = Environment(
        name=command.environment,
        digest=command.digest,
        settings=settings,
        put_at_ms=state.time_ms,
        actor=actor_text(command.actor),
    )
    changes.deployments_changed = True
    for name in [name for name in state.triggers if name[0] == command.environment]:
        drop_trigger(state, changes, name)
    return Applied()


def activate_version(
    state: ClusterState, command: wire.ActivateVersion, changes: Changes
) -> Outcome:
    """Make a version the one that new executions get, and switch its trigger on or off."""
    name = (command.environment, ProcessName(command.process))
    version = state.versions.get((name[1], VersionId(command.version)))
    if command.environment not in state.environments:
        return Rejected("unknown_environment")
    if version is None:
        return Rejected("unknown_version")
    known = state.deployments.get(name)
    wanted = (version.id, command.trigger_on)
    if known is not None and (known.version, known.trigger_on) == wanted:
        return Applied(0, {"repeated": True})
    if command.trigger_on and version.listener is not None:
        holder = listening.holder(state, command.environment, version.listener)
        if holder not in (None, name[1]):
            path = f"{version.listener.method} {version.listener.path}"
            return Rejected("path_taken", {"process": holder, "path": path})

    changes.dirty.mark("deployments", "/".join(name))
    state.deployments[name] = Deployment(
        environment=command.environment,
        process=name[1],
        version=version.id,
        trigger_on=command.trigger_on,
        activated_at_ms=state.time_ms,
        actor=actor_text(command.actor),
        pause=known.pause if known is not None else None,
        trigger_since_ms=_trigger_since_ms(state, known, command),
    )
    gates.configure(state, command.environment, version.gates, changes)
    changes.deployments_changed = True
    if name in state.triggers:
        drop_trigger(state, changes, name)
    return Applied()


def pause_process(state: ClusterState, command: wire.PauseProcess, changes: Changes) -> Outcome:
    """Let nothing of a process start, or let it start again; what runs goes on either way."""
    name = (command.environment, ProcessName(command.process))
    known = state.deployments.get(name)
    if known is None:
        return Rejected("unknown_process")
    if command.paused == (known.pause is not None):
        return Applied(0, {"repeated": True})

    changes.dirty.mark("deployments", "/".join(name))
    reason = records.text(state, command.reason)
    pause = None
    if command.paused:
        pause = Pause(state.time_ms, actor_text(command.actor), reason, index=state.index)
    state.deployments[name] = replace(known, pause=pause)
    return Applied()


def settle_key(state: ClusterState, command: wire.SettleKey, changes: Changes) -> Outcome:
    """The dead letters that hold a concurrency key are settled: who comes next may start."""
    process = ProcessName(command.process)
    key = KeyName(command.environment, process, command.concurrency_key)
    if key not in state.key_holds:
        return Rejected("key_not_held")

    changes.dirty.mark("key_holds", row_parts.joined(key))
    del state.key_holds[key]
    queues.serve_key(state, key, changes)
    return Applied()


def _trigger_since_ms(
    state: ClusterState, known: Deployment | None, command: wire.ActivateVersion
) -> int:
    if not command.trigger_on:
        return 0
    # Another version goes on where the one before was; only what was off begins anew.
    return known.trigger_since_ms if known is not None and known.trigger_on else state.time_ms


def drop_trigger(state: ClusterState, changes: Changes, name: tuple[str, ProcessName]) -> None:
    """Take the trigger from its node; the planner gives it out again under a new token."""
    changes.dirty.mark("triggers", "/".join(name))
    changes.triggers[name] = None
    del state.triggers[name]


def actor_text(actor: wire.Actor) -> str:
    """An actor as one word: `user:anna`."""
    return f"{actor.kind}:{actor.name}" if actor.kind or actor.name else ""


def _is_name(text: str) -> bool:
    # Names are joined by a slash to make the keys of rows.
    return bool(text) and "/" not in text
