"""What callers may send, field by field; anything else is refused by name.

These models are the one declaration of request bodies: the check and the OpenAPI document use them.
"""

import base64
import binascii
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text = Annotated[str, Field(max_length=256)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
Priority = Annotated[int, Field(ge=0, le=9)]
VersionText = Annotated[str, Field(pattern=r"^[0-9a-f]{6,64}$")]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Input(_Request):
    input: Any = Field(None, description="The value of a single document.")
    documents: list[Any] | None = Field(
        None, description="Values of many documents, in order; instead of `input`."
    )

    expires: Text = Field(
        "",
        description="Not begun by then, it ends as FAILED with `expired`: `10m` after it was "
        "accepted, or an instant as ISO 8601 with a zone.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if {"input", "documents"} <= self.model_fields_set:
            message = "send either input (one document) or documents (many), not both"
            raise ValueError(message)
        return self

    @property
    def values(self) -> list[Any]:
        """One value per document; none when the caller sent neither field."""
        if self.documents is not None:
            return self.documents
        return [self.input] if "input" in self.model_fields_set else []


class SubmitBody(_Input):
    """One submission."""

    process: Name
    environment: Text = Field("", description="Empty: the only one where the process is deployed.")
    version: VersionText | None = Field(None, description="Content hash; default: the active one.")
    priority: Priority = Field(0, description="1 to 9, higher first; 0: that of the process.")


class BatchItem(_Input):
    """One of many submissions to the same process."""

    idempotency_key: str | None = None


class BatchBody(_Request):
    """Many submissions to one process, each accepted or refused by itself."""

    process: Name
    environment: Text = ""
    version: VersionText | None = None
    priority: Priority = 0
    submissions: Annotated[list[BatchItem], Field(min_length=1)]


class CancelBody(_Request):
    """Why an execution is cancelled; shown in its timeline."""

    reason: str = ""


class EmptyBody(_Request):
    """Nothing: `{}`."""


class DrainBody(_Request):
    """How long executions may go on to a place where they can stop."""

    timeout_ms: int | None = Field(None, ge=0, description="Default: the limit drain_ms_default.")


class ReleaseBody(_Request):
    """Why a parked execution is let go, or given up; shown in its timeline."""

    reason: str = ""


class RetryBody(_Request):
    """How an execution that has ended is tried again."""

    version: VersionText | None = Field(
        None, description="Content hash of a version; default: the active one."
    )


class PauseBody(_Request):
    """Where and why a process is paused or resumed."""

    environment: Text = Field("", description="Empty: the only one where the process is deployed.")
    reason: str = ""


class SettleKeyBody(_Request):
    """A concurrency key whose dead letters are settled."""

    concurrency_key: Annotated[str, Field(min_length=1, max_length=256)]
    environment: Text = Field("", description="Empty: the only one where the process is deployed.")


class PurgeBody(_Request):
    """What is purged; with `plan` it is only counted."""

    classes: list[Name] = Field(
        [],
        max_length=16,
        description="`completed_documents`, `failed_documents`, `timelines`, `history`; "
        "empty: all of them.",
    )
    older_than_ms: Annotated[int, Field(ge=0)] | None = Field(
        None, description="What ended longer ago than this; default: each class's own time."
    )
    plan: bool = False


NodeId = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Pem = Annotated[str, Field(min_length=1, max_length=16_384)]


class TokenBody(_Request):
    """A token that lets one node in."""

    role: Literal["voter"] = "voter"
    lifetime_ms: int | None = Field(None, gt=0, description="Default: join_token_ms_default.")


class JoinBody(_Request):
    """A newcomer: who it wants to be, its token's secret, and what is to be signed."""

    cluster: Name
    secret: Name
    node: NodeId
    role: Literal["voter"] = "voter"
    addresses: Annotated[list[Name], Field(max_length=16)] = []
    node_request: Pem
    gateway_request: Pem


class LeaveBody(_Request):
    """A node leaves for good."""

    dead: bool = Field(False, description="The node is lost and will not come back, or never came.")


class TransferBody(_Request):
    """Who is to lead."""

    to: Text = Field("", description="Empty: the voter that is furthest.")


class AnswerBody(_Request):
    """What a person found out about one effect in doubt."""

    effect: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="The effect key, as the execution shows it."
    )
    answer: Literal["done", "not_done", "fail", "ask"]


class ResolveBody(_Request):
    """Answers to the effects in doubt of one execution, one by one or all alike."""

    answers: list[AnswerBody] | None = None
    all: Literal["done", "not_done", "fail", "ask"] | None = None
    reason: str = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.answers is None) == (self.all is None):
            message = "send either answers (one by one) or all (the same for every effect in doubt)"
            raise ValueError(message)
        return self


class FileInBase64(_Request):
    """A file that is not UTF-8 text."""

    base64: str

    @property
    def content(self) -> bytes:
        """The bytes; `ValueError` when it is not base64."""
        try:
            return base64.b64decode(self.base64, validate=True)
        except binascii.Error as error:
            raise ValueError(str(error)) from None


class ApplyBody(_Request):
    """The files of a user's repository, by their path below its root."""

    files: dict[str, str | FileInBase64] = Field(min_length=1)
