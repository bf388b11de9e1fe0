"""Requests that came to a listener: whose rules hold, who the caller is, which key it has.

The gateway only matched a path in what it learned a moment ago. What must stay true: the listener's
rules are those of the version that is active here, so an old gateway lets nobody in by old ones.
"""

import hashlib
from typing import Final

from molecule.access.policy import Actor, ActorKind
from molecule.cluster.listener import Listener
from molecule.cluster.state import ClusterState
from molecule.model.errors import NotFound
from molecule.model.ids import ProcessName
from molecule.node.identify import Identifier
from molecule.wire.v1 import door_pb2 as d

_KEY_LENGTH_MAX: Final = 200


def of(state: ClusterState, request: d.SubmitRequest) -> Listener | None:
    """The listener that a request came to; None: it came to none. `NotFound` when it is gone."""
    if not request.listener:
        return None
    deployment = state.deployments.get((request.environment, ProcessName(request.process)))
    found = None
    if deployment is not None and deployment.trigger_on:
        found = state.versions[deployment.process, deployment.version].listener
    if found is None or f"{found.method} {found.path}" != request.listener:
        raise NotFound("nothing listens there", listener=request.listener)
    return found


def actor(state: ClusterState, request: d.SubmitRequest, identifier: Identifier) -> Actor:
    """Who submits: behind a listener that asks for no token it is the listener itself."""
    found = of(state, request)
    if found is not None and found.auth == "none":
        return Actor(ActorKind.TRIGGER, f"{request.environment}/{request.process}")
    return identifier.actor(request.credentials.bearer)


def own_key(environment: str, process: str, value: str) -> str:
    """The idempotency key that `dedup` gives: no two processes get in each other's way."""
    key = f"{environment}/{process}/{value}"
    if len(key) <= _KEY_LENGTH_MAX and key.isascii() and key.isprintable() and " " not in key:
        return key
    return f"{environment}/{process}/sha256:{hashlib.sha256(value.encode()).hexdigest()}"
