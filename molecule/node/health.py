"""Whether a node may be sent work, and in words why not. Pure."""

from collections.abc import Mapping
from typing import Any


def health(
    node: str,
    *,
    leader: str | None,
    is_formed: bool,
    is_registered: bool,
    is_draining: bool,
    role: str,
    waits_because: str,
) -> Mapping[str, Any]:
    """The answer to `/readyz`: ready only while somebody leads and knows this life of the node."""
    reasons = []
    if role == "newcomer":
        reasons.append(f"this node waits to be let in: {waits_because or 'no member answered yet'}")
    elif not is_formed:
        reasons.append("the voters have not all been seen yet: a new cluster needs all of them")
    elif leader is None:
        reasons.append("no node leads at the moment")
    if not is_registered:
        reasons.append("this node has not registered yet")
    is_only_draining = is_draining and not reasons
    if is_draining:
        reasons.append("this node is draining: it takes no work until it is undrained")
    return {
        "ready": not reasons,
        "started": True,
        "draining": is_only_draining,
        "reasons": reasons,
        "node": node,
        "role": role,
        "leader": leader or "",
    }
