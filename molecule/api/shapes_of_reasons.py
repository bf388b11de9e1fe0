"""Answers of `why` and post-mortems as the OpenAPI document tells them."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class Reason(_Answer):
    """One answer. `decided`: the entry at `index` decided it; else it is the view at that index.

    `question` is one of no_leader, accepted, pending, here, moved, repeated, refused, waiting,
    parked, ended, slow.
    """

    question: str
    text: str
    index: int
    at_ms: int
    decided: bool
    facts: dict[str, Any]


class Why(_Answer):
    """Why an execution is where it is. `incomplete` says what is missing of its timeline."""

    execution: str
    state: str
    index: int
    incomplete: str
    answers: list[Reason]


class MovedExecution(_Answer):
    """An execution that a lost node held: its token there and the state it went to."""

    execution: str
    token: int
    became: str
    doubts: int


class Postmortem(_Answer):
    """What the loss of one life of a node was known by and what it cost.

    `executions` names the first of those that `moved` counts. `without_leader_ms` is 0 when the
    node did not lead, or when the next leader had not heard it.
    """

    id: str
    node: str
    incarnation: int
    reason: str
    evidence: str
    silent_for_ms: int
    index: int
    at_ms: int
    registered_at_ms: int
    epoch: int
    led: bool
    without_leader_ms: int
    moved: int
    effects_in_doubt: int
    steps_repeated: int
    late_words_refused: int
    executions: list[MovedExecution]


class PostmortemPage(_Answer):
    """The post-mortems that are kept, the newest first; always one page."""

    items: list[Postmortem]
    next: str | None
