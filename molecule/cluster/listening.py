"""Listeners of the active versions: which process has a path, and the same as rows.

The gateways learn them from their nodes. What stays true: in one environment no two active versions
take the same method and path.
"""

from collections.abc import Iterator
from typing import Any, Final

from molecule.cluster.listener import Listener
from molecule.cluster.state import ClusterState, Deployment
from molecule.model import http_path
from molecule.model.ids import ProcessName
from molecule.wire.v1 import commands_pb2 as wire

METHODS: Final = ("POST", "GET", "PUT", "PATCH", "DELETE")
_REPLIES: Final = ("result", "accepted")
_AUTHS: Final = ("token", "none")


def is_sound(listener: wire.Listener) -> bool:
    """True for one that gateways can keep."""
    return (
        listener.method in METHODS
        and listener.reply in _REPLIES
        and listener.auth in _AUTHS
        and not http_path.fault(listener.path)
    )


def listener(told: wire.Listener) -> Listener:
    """From a command or a row."""
    return Listener(
        method=told.method,
        path=told.path,
        reply=told.reply,
        auth=told.auth,
        timeout_ms=told.timeout_ms,
        body_bytes_max=told.body_bytes_max,
        checked=told.checked,
    )


def listener_row(kept: Listener | None) -> wire.Listener | None:
    """The same for a row."""
    if kept is None:
        return None
    return wire.Listener(
        method=kept.method,
        path=kept.path,
        reply=kept.reply,
        auth=kept.auth,
        timeout_ms=kept.timeout_ms,
        body_bytes_max=kept.body_bytes_max,
        checked=kept.checked,
    )


def active(state: ClusterState) -> Iterator[tuple[Deployment, Listener]]:
    """Every listener that is switched on, by environment and process."""
    for name in sorted(state.deployments):
        deployment = state.deployments[name]
        found = state.versions[deployment.process, deployment.version].listener
        if found is not None and deployment.trigger_on:
            yield deployment, found


def holder(state: ClusterState, environment: str, wanted: Listener) -> ProcessName | None:
    """The process that takes these requests now."""
    asked = claim(wanted.method, wanted.path)
    for deployment, found in active(state):
        if deployment.environment == environment and claim(found.method, found.path) == asked:
            return deployment.process
    return None


def address(environment: str, found: Listener | None) -> str:
    """Where requests go, for people: `POST /in/prod/orders/{order}`; empty without a listener."""
    return "" if found is None else f"{found.method} /in/{environment}{found.path}"


def claim(method: str, path: str) -> tuple[str, str]:
    """What two listeners must not have in common."""
    return method, http_path.shape(path)


def views(state: ClusterState) -> list[dict[str, Any]]:
    """For the gateways."""
    return [
        {
            "environment": deployment.environment,
            "process": deployment.process,
            "method": found.method,
            "path": found.path,
            "reply": found.reply,
            "auth": found.auth,
            "timeout_ms": found.timeout_ms,
            "body_bytes_max": found.body_bytes_max,
            "checked": found.checked,
        }
        for deployment, found in active(state)
    ]
