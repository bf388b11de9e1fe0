"""Who speaks: the identity that a certificate or a local secret proves.

A certificate names its holder as `spiffe://<cluster>/<role>/<name>`. Handlers ask `caller()`; what
must stay true: it never comes from a message.
"""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from molecule.model.errors import Forbidden, invariant

NODE: Final = "node"
GATEWAY: Final = "gateway"
ROLES: Final = frozenset({NODE, GATEWAY})
"""Roles that certificates may carry."""

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SPIFFE: Final = re.compile(rf"spiffe://({_LABEL})/([a-z]{{1,32}})/({_LABEL})")


@dataclass(frozen=True, slots=True)
class Identity:
    """One member of a cluster: `node` for nodes of the network, or the role of a local process."""

    cluster: str
    role: str
    name: str

    @property
    def uri(self) -> str:
        """As a certificate carries it."""
        return f"spiffe://{self.cluster}/{self.role}/{self.name}"

    @property
    def host(self) -> str:
        """The name that a client checks when it dials this member, wherever that listens."""
        return f"{self.name}.{self.cluster}.molecule"


def parse(uri: str) -> Identity:
    """The identity in a certificate's URI; `Forbidden` when it is none of ours."""
    found = _SPIFFE.fullmatch(uri)
    if found is None or found[2] not in ROLES:
        raise Forbidden(f"the certificate names {uri!r}, which is no member of a Molecule cluster")
    return Identity(found[1], found[2], found[3])


_CALLER: ContextVar[Identity] = ContextVar("molecule_rpc_caller")


def caller() -> Identity:
    """Who made the call that is being handled. Only inside a handler of one of our servers."""
    found = _CALLER.get(None)
    invariant(found is not None, "caller() was asked outside of a call")
    return found  # type: ignore[return-value]  # the line above


def set_caller(identity: Identity) -> None:
    """For the servers: the identity that this task's call has proved."""
    _CALLER.set(identity)
