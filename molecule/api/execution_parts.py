"""Parts of executions as the OpenAPI document tells them; `shapes.py` holds the whole ones."""

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class SignalKept(_Answer):
    """The signal is committed; `repeated_key`: it was so before, under the same key."""

    execution: str
    signal: str
    idempotency_key: str
    state: str
    repeated_key: bool


class Doubt(_Answer):
    """An effect in doubt: what was sent, where to, and from when it may be called not done."""

    effect_key: str
    step: str
    document: str
    target: str
    request_digest: str
    verifiable: bool
    token: int
    sent_after_ms: int
    deadline_at_ms: int
    answer_not_before_ms: int
    resolution: str


class Death(_Answer):
    """The last death of a worker that was charged to an execution."""

    node: str
    worker: str
    step: str
    evidence: str
    cause: str
    memory_bytes: int
    at_ms: int
    alone: bool


class AwaitedSignal(_Answer):
    """A signal that ends WAITING, and where to tell it."""

    signal: str
    correlation: str
    callback: str
