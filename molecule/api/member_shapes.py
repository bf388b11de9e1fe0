"""Answers about emptying nodes, and about who takes part in the cluster."""

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MoveShape(_Answer):
    """Where an execution or a trigger would go; `goes_to` is empty when it would wait."""

    execution: str
    environment: str
    process: str
    goes_to: str
    why: str


class DrainPlanShape(_Answer):
    """What draining a node would bring about. `refusals` tells why it would not be begun.

    `moves` counts executions by the node that would get them, `waits` those that would wait, by
    what they wait for.
    """

    node: str
    draining: bool
    refused: bool
    refusals: list[str]
    notes: list[str]
    held: int
    moves: dict[str, int]
    waits: dict[str, int]
    documents: int
    documents_endangered: int
    executions: list[MoveShape]
    triggers: list[MoveShape]


class TokenShape(_Answer):
    """A join token; it is shown once and kept nowhere."""

    token: str
    role: str
    expires_at_ms: int


class AuthorityShape(_Answer):
    """The certificate of the cluster's authority, PEM. A token holds its fingerprint."""

    cluster: str
    ca: str


class PeerShape(_Answer):
    """A voter and its internal address."""

    id: str
    rpc: str


class JoinedShape(_Answer):
    """What a newcomer needs to start."""

    cluster: str
    node: str
    role: str
    ca: str
    node_certificate: str
    gateway_certificate: str
    admin_token_digest: str
    timing_profile: str
    peers: list[PeerShape]


class LeftShape(_Answer):
    """A node that is no member any more."""

    node: str
    left: bool


class TransferShape(_Answer):
    """Leadership is about to move, or `to` leads already; it is empty when any voter will do."""

    asked: bool
    to: str
    leads_already: bool
