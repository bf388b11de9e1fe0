"""Hooks: commands of the user that make a fault where Molecule cannot reach, and heal it.

They stand in the context under `chaos`. What must stay true: a command is a list of arguments and
never passes a shell; it is ended when its time is over, with all that it started.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from molecule.definition import durations

KINDS: Final = ("kill", "freeze", "partition")
"""Faults that hooks can make."""

PLACEHOLDER: Final = "{node}"
_SAID_CHARACTERS: Final = 300
_GIVEN: Final = ("hooks", "seen_within", "hook_timeout")


class WrongHooks(Exception):
    """The context says something of chaos that cannot be meant; the message says what."""


class HookFailed(Exception):
    """A command did not end with 0 in its time; the message says which and what it said."""


@dataclass(frozen=True, slots=True)
class Hook:
    """How one fault is made and healed."""

    begin: tuple[str, ...]
    end: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hooks:
    """All that a context says of chaos."""

    by_kind: Mapping[str, Hook] = field(default_factory=dict)
    seen_within_s: float = 60.0
    """So long the cluster has to notice what a hook did, or the fault is not confirmed."""
    timeout_s: float = 120.0
    """So long a command may take."""


def read(told: Any) -> Hooks:
    """What the member `chaos` of a context says; `WrongHooks` names the fault in it."""
    if told is None:
        return Hooks()
    if not isinstance(told, dict):
        raise WrongHooks("`chaos` must be an object")
    _only(told, _GIVEN, "chaos")
    hooks = told.get("hooks", {})
    if not isinstance(hooks, dict):
        raise WrongHooks("`chaos.hooks` must be an object with faults as names")
    _only(hooks, KINDS, "chaos.hooks")
    return Hooks(
        {kind: _hook(kind, hook) for kind, hook in hooks.items()},
        seen_within_s=_seconds(told, "seen_within", Hooks().seen_within_s),
        timeout_s=_seconds(told, "hook_timeout", Hooks().timeout_s),
    )


async def run(command: tuple[str, ...], node: str, *, timeout_s: float) -> None:
    """Run a command for a node; HookFailed when it fails or takes longer."""
    arguments = [argument.replace(PLACEHOLDER, node) for argument in command]
    named = " ".join(arguments)
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C is for us: who heals must not be ended by it.
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise HookFailed(f"{named}: {error}") from None
    try:
        async with asyncio.timeout(timeout_s):
            said, _ = await process.communicate()
    except TimeoutError:
        raise HookFailed(f"{named}: not within {timeout_s:.0f} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        tail = said.decode(errors="replace").strip()[-_SAID_CHARACTERS:]
        raise HookFailed(f"{named}: exit code {process.returncode}{': ' if tail else ''}{tail}")


def _hook(kind: str, told: Any) -> Hook:
    place = f"chaos.hooks.{kind}"
    if not isinstance(told, dict):
        raise WrongHooks(f"`{place}` must be an object with `begin` and `end`")
    _only(told, ("begin", "end"), place)
    return Hook(_command(told, "begin", place), _command(told, "end", place))


def _command(told: dict[str, Any], name: str, place: str) -> tuple[str, ...]:
    given = told.get(name)
    is_list = isinstance(given, list) and all(isinstance(each, str) for each in given)
    if not is_list or not given or not given[0]:
        raise WrongHooks(f"`{place}.{name}` must be a command as a list of arguments")
    if not any(PLACEHOLDER in argument for argument in given[1:]):
        raise WrongHooks(f"`{place}.{name}` must name the node: one argument holds {PLACEHOLDER}")
    return tuple(given)


def _seconds(told: dict[str, Any], name: str, otherwise: float) -> float:
    if name not in told:
        return otherwise
    given = told[name]
    milliseconds = durations.milliseconds(given) if isinstance(given, str) else None
    if not milliseconds:
        raise WrongHooks(f"`chaos.{name}` must be a duration like 30s")
    return milliseconds / 1000


def _only(told: dict[str, Any], names: tuple[str, ...], place: str) -> None:
    strange = sorted(set(told) - set(names))
    if strange:
        raise WrongHooks(f"`{place}` knows no `{strange[0]}`: {', '.join(names)}")
