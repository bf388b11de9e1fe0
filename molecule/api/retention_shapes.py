"""Answers about retention as the OpenAPI document tells them; see `shapes.py`."""

from pydantic import BaseModel, ConfigDict, Field


class RetentionClassShape(BaseModel):
    """One class. What was never purged has neither time nor horizon."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    class_: str = Field(alias="class")
    kept_ms: int | None = None
    bytes_max: int | None = None
    horizon_at_ms: int | None = Field(None, description="What ended before this instant is purged.")
    rows: int
    bytes: int


class DiskShape(BaseModel):
    """The volume of a node's data folder, as far as the answering node knows."""

    node: str
    total_bytes: int
    available_bytes: int
    used_percent: float
    reserve_bytes: int
    reserve_held_bytes: int


class RetentionShape(BaseModel):
    """What is kept on the answering node. `level` is that of the fullest voter."""

    level: str
    fullest_node: str
    classes: list[RetentionClassShape]
    never_purged: list[RetentionClassShape]
    disks: list[DiskShape]


class PurgedClass(BaseModel):
    """How many executions that ended before an instant had something of a class."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    class_: str = Field(alias="class")
    before_at_ms: int
    executions: int


class PurgeAnswer(BaseModel):
    """What was purged, or with `plan` would be."""

    plan: bool
    classes: list[PurgedClass]
    documents_of: int = Field(description="Executions whose stored documents were let go.")
