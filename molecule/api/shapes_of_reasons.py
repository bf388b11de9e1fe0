"""Answers of `why` and post-mortems as the OpenAPI document tells them."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class Reason(_Answer):
    """One answer. `decided`: the entry at `index` decided it; else it is the view at that index.

    `question` is one of accepted, pending, here, moved, repeated, refused, waiting, parked, ended,
    slow.
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
