"""A listener as the replicated state keeps it with its version: what gateways need to know.

What it means is in `listening.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listener:
    """What the gateways of all nodes take for a process, below `/in/ENVIRONMENT`."""

    method: str
    path: str
    reply: str
    auth: str
    timeout_ms: int
    body_bytes_max: int
    checked: bool
    """A worker must look at each request before it is accepted."""
