"""What is deployed in a simulated cluster: built once by the product, proposed as apply would."""

import functools
import hashlib

from molecule.component.registry import Registry
from molecule.config import Limits
from molecule.definition import package as packages
from molecule.wire.v1 import commands_pb2 as c
from molecule.worker import requests
from tests.simulation.whole import target

ENVIRONMENT = "sim"
_HEAD = "molecule: 1\nprocess: {name}\ntrigger: {{type: manual}}\n"
_RETRY = "retry: {max: 3, delay: 200ms}"


def _put(step: str) -> str:
    return f"  - {{id: {step}, type: target.put, connection: desk, timeout: 1s}}\n"


def _tell(step: str, *, verified: bool) -> str:
    told = f"  - id: {step}\n    type: target.tell\n    connection: desk\n    timeout: 1s\n"
    if not verified:
        return told
    return (
        told
        + "    verify:\n"
        + f"      steps: [{{id: ask-{step}, type: target.ask, connection: desk, of: {step}}}]\n"
        + "      done_if: count > 0\n      not_done_if: count = 0\n"
    )


def _process(name: str, steps: str, options: str = "") -> str:
    head = _HEAD.format(name=name)
    return head + (f"options: {options}\n" if options else "") + "steps:\n" + steps


POISON = "poison"
TICKS = "ticks"
TICK_MS = 1000
_SCHEDULED = (
    f"molecule: 1\nprocess: {TICKS}\n"
    f"trigger: {{type: schedule, every: {TICK_MS}ms, missed: all}}\n"
    f"steps:\n{_put('tick')}"
)
"""Submitted by its schedule alone; only in runs that have one."""
LEGS = (1, 2, 3, 4)
ORDERED = "{concurrency: {by: lane, limit: 1, on_park: block}}"
PROCESSES = {
    "orders": _process("orders", _put("reserve") + _tell("charge", verified=True) + _put("ship")),
    "lanes": _process("lanes", _put("note") + _tell("call", verified=True), ORDERED),
    "doubts": _process("doubts", _tell("pay", verified=False) + _put("book")),
    "waits": _process(
        "waits",
        _put("begin") + "  - {id: rest, type: wait, for: 1500ms}\n" + _tell("end", verified=True),
    ),
    POISON: _process(POISON, _put("before") + "  - {id: fatal, type: target.crash}\n"),
    "journey": _process(
        "journey",
        "".join(_put(f"leg{number}") + _tell(f"toll{number}", verified=True) for number in LEGS),
    ),
    "many": _process(
        "many",
        "  - id: each\n    type: foreach\n    at_once: 3\n    steps:\n"
        + "".join("    " + line + "\n" for line in _tell("say", verified=False).splitlines())
        + _put("close"),
    ),
}
STEPS: dict[str, tuple[str, ...]] = {
    "orders": ("reserve", "charge", "ship"),
    "lanes": ("note", "call"),
    "doubts": ("pay", "book"),
    "waits": ("begin", "end"),
    "many": ("each/say", "close"),
    POISON: ("never",),
    TICKS: ("tick",),
    "journey": tuple(f"{step}{number}" for number in LEGS for step in ("leg", "toll")),
}
"""The steps of each process that must have had their effect once it completed."""


@functools.cache
def registry() -> Registry:
    """One for all workers of this interpreter: it is only read."""
    return target.registry()


@functools.cache
def deployment(*, scheduled: bool) -> tuple[bytes, ...]:
    """The commands that make all of them active, as `molecule apply` would say them."""
    texts = {**PROCESSES, **({TICKS: _SCHEDULED} if scheduled else {})}
    files = {f"processes/{name}.yaml": text.encode() for name, text in texts.items()}
    files["connections/desk.yaml"] = b"connection: desk\nconnector: target\n"
    files[f"environments/{ENVIRONMENT}.yaml"] = (
        b"environment: sim\nconnections:\n  desk: {name: target}\n"
    )
    built = requests._told(packages.build(files, ENVIRONMENT, registry(), Limits()))
    if built.findings:
        raise ValueError([str(finding) for finding in built.findings])
    settings = built.environment_settings
    put = c.PutEnvironment(
        environment=ENVIRONMENT,
        settings=c.Payload(inline=settings),
        digest=hashlib.sha256(settings).hexdigest(),
    )
    commands = [c.Command(version=1, put_environment=put)]
    for one in built.versions:
        version = c.PutVersion(
            process=one.process,
            version=one.version,
            options=one.options,
            package=c.Payload(inline=one.package),
        )
        activate = c.ActivateVersion(
            environment=ENVIRONMENT,
            process=one.process,
            version=one.version,
            trigger_on=one.process == TICKS,
        )
        commands += [
            c.Command(version=1, put_version=version),
            c.Command(version=1, activate_version=activate),
        ]
    return tuple(command.SerializeToString() for command in commands)


def silence() -> c.Command:
    """The command that switches the schedule off."""
    for content in deployment(scheduled=True):
        command = c.Command.FromString(content)
        if command.activate_version.process == TICKS:
            command.activate_version.trigger_on = False
            return command
    raise AssertionError("no schedule is deployed")


MANY = 4
"""Documents of a submission of `many`."""


def documents_of(process: str, key: str) -> tuple[str, ...]:
    """The documents of a submission of this key that go through each step, by id."""
    if process == TICKS:
        return (f"{key}/0",)
    return tuple(str(number) for number in range(MANY if process == "many" else 1))
