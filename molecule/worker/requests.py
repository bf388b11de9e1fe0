"""Work that the node process must not do in its own loop: building packages, evaluating doors.

It runs in a thread, since a repository may be large. What must stay true: whatever a user's
files hold, the answer is a reply with findings or a code, never the end of the worker.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import asdict

from molecule.component.contract import Listening
from molecule.component.registry import Registry
from molecule.config import Limits
from molecule.definition import package as packages
from molecule.definition.built import Built, BuiltOptions
from molecule.model import payload
from molecule.model.errors import Finding, InvalidProcess, MoleculeError
from molecule.model.gate import GatePolicy
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker.packages import Packages


async def answer(
    request: w.WorkerRequest, opened: Packages, registry: Registry, limits: Limits
) -> w.WorkerReply:
    """The reply to a request, under its number."""
    try:
        match request.WhichOneof("kind"):
            case "build":
                reply = await asyncio.to_thread(_build, request.build, registry, limits)
            case "door":
                reply = await _door(request.door, opened)
            case _:
                reply = w.WorkerReply(code="unknown_request", message="this worker is too old")
    except MoleculeError as error:
        reply = w.WorkerReply(code=error.code, message=error.message)
    except Exception as error:  # noqa: BLE001 - a named boundary: the asker gets the error
        reply = w.WorkerReply(code="internal", message=f"{type(error).__name__}: {error}")
    reply.number = request.number
    return reply


def _build(asked: w.BuildPackage, registry: Registry, limits: Limits) -> w.WorkerReply:
    built = packages.build(dict(asked.files), asked.environment, registry, limits)
    return _told(built)


def _told(built: Built) -> w.WorkerReply:
    return w.WorkerReply(
        code=InvalidProcess.code if built.findings else "",
        message=f"{len(built.findings)} faults were found" if built.findings else "",
        findings=_findings(built.findings),
        warnings=_findings(built.warnings),
        versions=[
            w.BuiltVersion(
                process=one.process,
                version=one.version,
                options=_options(one.options),
                package=one.package,
                trigger_on=one.trigger_on,
            )
            for one in built.versions
        ],
        environment_settings=built.environment_settings,
    )


def _findings(findings: Iterable[Finding]) -> list[w.FoundFault]:
    return [
        w.FoundFault(
            file=one.file,
            line=one.line,
            column=one.column,
            where=one.where,
            what=one.what,
            hint=one.hint,
        )
        for one in findings
    ]


def _options(options: BuiltOptions) -> c.VersionOptions:
    return c.VersionOptions(
        failover=options.failover,
        keyed=options.keyed,
        concurrency_limit=options.concurrency_limit,
        timeout_ms=options.timeout_ms,
        crash_budget=options.crash_budget,
        priority=options.priority,
        require=dict(options.require),
        prefer=dict(options.prefer),
        has_trigger=options.has_trigger,
        on_dead_letter=options.on_dead_letter,
        tracked=options.tracked,
        hold_for_ms=options.hold_for_ms,
        isolation=options.isolation,
        overlap=options.overlap,
        on_park=options.on_park,
        share=options.share,
        zone=options.zone,
        spread=options.spread,
        expires_ms=options.expires_ms,
        dedup_window_ms=options.dedup_window_ms,
        listener=_listener(options.listening),
        gates=[_gate(policy) for policy in options.gates],
        durability=options.durability,
    )


def _gate(policy: GatePolicy) -> c.GatePolicy:
    return c.GatePolicy(
        connection=policy.connection,
        failures=policy.failures,
        within_ms=policy.within_ms,
        open_ms=policy.open_ms,
        rate_limit=policy.rate_limit,
        rate_per_ms=policy.rate_per_ms,
        rate_burst=policy.rate_burst,
    )


def _listener(listening: Listening | None) -> c.Listener | None:
    return None if listening is None else c.Listener(**asdict(listening))


async def _door(asked: w.EvaluateDoor, opened: Packages) -> w.WorkerReply:
    door = opened.open(asked.version, asked.environment).process.door
    now_ms = time.time_ns() // 1_000_000
    stamps = []
    for content in asked.inputs:
        try:
            stamp = door.stamp(payload.decode_documents(content), now_ms=now_ms)
        except MoleculeError as error:
            stamps.append(w.DoorStamp(code=error.code, message=error.message))
            continue
        stamps.append(
            w.DoorStamp(
                concurrency_key=stamp.concurrency_key,
                track=dict(stamp.track),
                idempotency_key=stamp.idempotency_key,
            )
        )
        await asyncio.sleep(0)
    return w.WorkerReply(stamps=stamps)
