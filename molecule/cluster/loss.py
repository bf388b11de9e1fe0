"""A post-mortem as the replicated state keeps it: what a lost life was known by, what it cost.

What is noted there and when is told by `losses.py`.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from molecule.model.ids import Epoch, ExecutionId, Incarnation, NodeId, Token


class Moved(NamedTuple):
    """An execution that a lost node held: its token there, the state it went to, its doubts."""

    token: Token
    became: str
    doubts: int


@dataclass(slots=True)
class Loss:
    """The post-mortem of one lost life of a node. Only apply changes it (`losses.py`)."""

    id: str
    node: NodeId
    incarnation: Incarnation
    reason: str
    evidence: str
    silent_for_ms: int
    index: int
    at_ms: int
    registered_at_ms: int
    epoch: Epoch
    led: bool
    without_leader_ms: int = 0
    moved: int = 0
    doubts: int = 0
    repeated: int = 0
    late_words: int = 0
    executions: dict[ExecutionId, Moved] = field(default_factory=dict)
