"""What building and opening a package give: values that travel between worker, node and engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from molecule.component.config import Config
from molecule.component.contract import (
    TRIGGER_PROPERTY,
    Connector,
    Listening,
    ListeningTrigger,
    Stamp,
    Table,
)
from molecule.component.registry import Component
from molecule.config import Limits
from molecule.definition.definition import Options, ProcessDefinition
from molecule.expression.expression import NOTHING, data_error
from molecule.expression.names import Names
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.errors import Finding, StepError
from molecule.model.gate import NO_GATE, GatePolicy
from molecule.model.ids import ProcessName, VersionId


@dataclass(frozen=True, slots=True)
class BuiltOptions:
    """The options that the cluster keeps; fields as in the wire message `VersionOptions`."""

    failover: str
    keyed: bool
    concurrency_limit: int
    timeout_ms: int
    crash_budget: int
    priority: int
    require: Mapping[str, str]
    prefer: Mapping[str, str]
    has_trigger: bool
    on_dead_letter: str
    tracked: bool
    hold_for_ms: int
    isolation: str
    overlap: str = ""
    on_park: str = "block"
    share: int = 1
    zone: str = ""
    spread: str = ""
    expires_ms: int = 0
    dedup_window_ms: int = 0
    listening: Listening | None = None
    gates: tuple[GatePolicy, ...] = ()
    durability: str = "durable"


@dataclass(frozen=True, slots=True)
class BuiltVersion:
    """One immutable version. `version` is the sha256 of `package`."""

    process: ProcessName
    version: VersionId
    options: BuiltOptions
    package: bytes
    trigger_on: bool


@dataclass(frozen=True, slots=True)
class Built:
    """The outcome of building a repository; nothing is built unless `findings` is empty."""

    versions: tuple[BuiltVersion, ...]
    environment_settings: bytes
    findings: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Environment:
    """A deployment's place: values for expressions, connection settings, triggers on or off."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    connections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    triggers: Mapping[str, bool] = field(default_factory=dict)

    @property
    def bound(self) -> dict[str, Any]:
        """As expressions see it: `$environment.name`, `$environment.values.site`."""
        return {"name": self.name, "values": dict(self.values)}


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection with its settings of one environment; `open_client` makes its one client."""

    name: str
    connector: Component
    config: Config
    gate: GatePolicy = NO_GATE

    def client(self, credential: Callable[[str], str]) -> Connector:
        """A new client, not yet opened; `credential` gives the secret behind a reference."""
        made: Connector = self.connector.build(self.config, credential)
        return made


@dataclass(frozen=True, slots=True)
class ProcessDoor:
    """Evaluates `concurrency.by` and `track` on the first document of a submission.

    What a trigger asks of its requests holds only for those: another way in is another contract.
    """

    options: Options
    environment: Environment
    process: ProcessName
    version: VersionId
    limits: Limits
    trigger: Any = None
    """The trigger's component."""

    def stamp(self, documents: Sequence[Document], *, now_ms: int) -> Stamp:
        """The stamp; empty without documents. Raises `StepError`, naming the field.

        Its class is `data` for a value that is no text, `limit` for one that is too long.
        """
        if not documents:
            return Stamp()
        first = documents[0]
        names = Names(
            trigger=first.properties.get(TRIGGER_PROPERTY),
            execution={"process": self.process, "version": self.version},
            environment=self.environment.bound,
            now_ms=now_ms,
        )
        own = ""
        if isinstance(self.trigger, ListeningTrigger) and TRIGGER_PROPERTY in first.properties:
            own = self.trigger.admit(first, names)
        by, track = self.options.concurrency_by, self.options.track
        key = by.text(first, names) if by else ""
        texts = _texts(track.values(first, names)) if track else {}
        limits = self.limits
        _bound("options.concurrency.by", key, "concurrency_key_length_max", limits)
        for name, text in texts.items():
            _bound(f"options.track.{name}", text, "track_value_length_max", limits)
        return Stamp(key, texts, own)


def _bound(field: str, text: str, limit: str, limits: Limits) -> None:
    # Both stay in the memory of every voter for as long as the execution is open.
    allowed: int = getattr(limits, limit)
    if len(text) > allowed:
        message = f"{field} gives {len(text)} characters, over the limit {limit} of {allowed}"
        raise StepError(message, error_class=ErrorClass.LIMIT, field=field, limit=limit)


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in values.items():
        if value is NOTHING or isinstance(value, dict | list):
            raise data_error(f"options.track.{name} must be a text or a number", field=name)
        if value is not None:
            found[name] = value if isinstance(value, str) else str(value)
    return found


@dataclass(frozen=True, slots=True)
class RunnableProcess:
    """A version opened for one environment: all a worker needs to run its executions."""

    definition: ProcessDefinition
    version: VersionId
    environment: Environment
    connections: Mapping[str, Connection]
    tables: Mapping[str, Table]
    door: ProcessDoor
