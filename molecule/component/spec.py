"""Declarations of components: fields, paths, effect, example.

Parser, checker, docs and editors read specs; components never read another's. Every field a user
may write on a component stands in its spec, so what is not there is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from molecule.model.effect import Effect


class FieldKind(StrEnum):
    """What a field holds, and so how `Config` gives it."""

    EXPRESSION = "expression"
    MAPPING = "mapping"
    """name -> expression."""
    TEMPLATE = "template"
    """A literal in which `${...}` is replaced; of any JSON shape."""
    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DURATION = "duration"
    CHOICE = "choice"
    TEXTS = "texts"
    """A list of texts; a single text is a list of one."""
    TEXT_MAP = "text_map"
    """name -> text, without templates."""
    TABLE = "table"
    CREDENTIAL = "credential"
    RULES = "rules"
    """A list of `{name, that}`: names with a condition each."""
    SCHEMA = "schema"
    """A JSON Schema; references to other places are not followed."""
    ANY = "any"
    """JSON-shaped, checked by the component's constructor."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a component. Built by the class methods, which name the kind."""

    kind: FieldKind
    doc: str
    required: bool = True
    default: Any = None
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    or_expression: bool = False
    """MAPPING: one expression that gives the whole is accepted too."""

    @classmethod
    def expression(cls, doc: str, *, required: bool = True) -> "Field":
        """JSONata over the document."""
        return cls(FieldKind.EXPRESSION, doc, required)

    @classmethod
    def mapping(cls, doc: str, *, required: bool = True, or_expression: bool = False) -> "Field":
        """Names to JSONata."""
        return cls(FieldKind.MAPPING, doc, required, or_expression=or_expression)

    @classmethod
    def template(cls, doc: str, *, required: bool = True, default: Any = None) -> "Field":
        """A literal in which `${...}` is replaced."""
        return cls(FieldKind.TEMPLATE, doc, required and default is None, default)

    @classmethod
    def text(cls, doc: str, *, required: bool = True, default: str | None = None) -> "Field":
        """A plain text; `${` in it is refused."""
        return cls(FieldKind.TEXT, doc, required and default is None, default)

    @classmethod
    def rules(cls, doc: str) -> "Field":
        """A list of `{name, that}`."""
        return cls(FieldKind.RULES, doc, required=False, default=())

    @classmethod
    def schema(cls, doc: str) -> "Field":
        """A JSON Schema."""
        return cls(FieldKind.SCHEMA, doc, required=False)

    @classmethod
    def texts(cls, doc: str, *, required: bool = True) -> "Field":
        """A list of plain texts."""
        return cls(FieldKind.TEXTS, doc, required, None if required else ())

    @classmethod
    def text_map(cls, doc: str, *, required: bool = False) -> "Field":
        """Names to plain texts."""
        return cls(FieldKind.TEXT_MAP, doc, required, None if required else {})

    @classmethod
    def integer(
        cls, doc: str, *, default: int | None = None, minimum: int = 0, maximum: int
    ) -> "Field":
        """A whole number within bounds; required when it has no default."""
        return cls(
            FieldKind.INTEGER, doc, default is None, default, minimum=minimum, maximum=maximum
        )

    @classmethod
    def boolean(cls, doc: str, *, default: bool = False) -> "Field":
        """`true` or `false`."""
        return cls(FieldKind.BOOLEAN, doc, required=False, default=default)

    @classmethod
    def duration(cls, doc: str, *, default: str | None = None, required: bool = False) -> "Field":
        """`250ms`, `5s`, `30m`, `2h`, `1d`; given in milliseconds."""
        return cls(FieldKind.DURATION, doc, required, default)

    @classmethod
    def choice(
        cls,
        doc: str,
        choices: tuple[str, ...],
        *,
        default: str | None = None,
        required: bool = True,
        or_number_max: int | None = None,
    ) -> "Field":
        """One of a few words, or a number from 1 as text; required when it has no default."""
        return cls(
            FieldKind.CHOICE,
            doc,
            required and default is None,
            default,
            choices=choices,
            minimum=None if or_number_max is None else 1,
            maximum=or_number_max,
        )

    @classmethod
    def table(cls, doc: str, *, required: bool = True) -> "Field":
        """The name of a table of the repository."""
        return cls(FieldKind.TABLE, doc, required)

    @classmethod
    def credential(cls, doc: str) -> "Field":
        """A reference to a secret: `env:NAME` or `file:PATH`; never the secret itself."""
        return cls(FieldKind.CREDENTIAL, doc, required=False)

    @classmethod
    def any(cls, doc: str, *, required: bool = False, default: Any = None) -> "Field":
        """Any JSON shape; the constructor checks it."""
        return cls(FieldKind.ANY, doc, required, default)


@dataclass(frozen=True, slots=True)
class Example:
    """A configuration as a user writes it, and what comes of it. The contract test runs it.

    `config` is YAML: the step without its id (a connection's settings for a connector). `gives`
    lists `(path or None, value)`, one per document handed on; for an operation it is the one
    `Request` as `(target, body)`. `tables` holds CSV text by name, `connection` the connection's
    settings as YAML.
    """

    config: str
    given: tuple[Any, ...] = ()
    gives: tuple[tuple[str | None, Any], ...] = ()
    properties: Mapping[str, Any] | None = None
    """Properties that each document handed on must have."""
    tables: Mapping[str, str] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    """`$error`, for a step that reads it."""
    processes: Mapping[str, str] = field(default_factory=dict)
    """Texts of processes by name, for a step that calls them."""


Per = Literal["document", "list", "block", "block:each", "block:paths"]
"""`block:each`: a block whose failed documents fail alone (`foreach`). `block:paths`: one that
sends the same documents down each of its paths (`branch`, `parallel`)."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Declaration of a step, operation or trigger.

    `effect` is the class of a plain step (pure); None when the operation tells it by
    configuration. `paths` are fields that hold lists of steps; `catch_path` one that holds
    `{errors, steps}` items; `named_paths` one that holds paths by names of the user's choice:
    lists of steps, or `{steps, ...}` with `path_fields`.
    """

    summary: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    example: Example | None = None
    paths: tuple[str, ...] = ()
    required_paths: tuple[str, ...] = ()
    catch_path: str | None = None
    named_paths: str | None = None
    path_fields: Mapping[str, Field] = field(default_factory=dict)
    closed_paths: tuple[str, ...] = ()
    """Paths whose documents end there: the step does not hand them on."""
    calls: str | None = None
    """The field that names a process whose steps run inside of this one."""
    hands_back: bool = False
    """What it gives goes to the end of the called process, or of the execution."""
    per: Per = "document"
    effect: Effect | None = Effect.PURE
    connection: bool = False
    """True: the field `connection` is required and names a connection of this connector."""
    reads_outside: bool = False
    inside: Literal["", "cluster", "worker"] = ""
    """Of an operation without a connection: its client is the cluster (`ClusterKeys`), which
    remembers its answers, or this worker's `Cache`."""
    waits: bool = False
    """True: its documents may wait for a time or a signal, so a `verify` cannot hold it."""
    has_timeout: bool = False
    """True: a plain step that obeys `timeout`; operations always do."""
    runs_always: bool = False
    """A trigger without a connection that runs all the same, on exactly one node."""
    errors: str = ""
    """How its errors are sorted into the classes; required for operations."""
    across_failover: str = "Repeated from the last checkpoint; nothing outside has changed."

    @property
    def runs(self) -> bool:
        """A trigger: true when it must run on exactly one node."""
        return self.connection or self.runs_always


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """Declaration of a connector: the fields of its connections, wherever they are written.

    A field marked in `addresses` belongs into the environment only.
    """

    summary: str
    fields: Mapping[str, Field]
    example: Example
    addresses: tuple[str, ...] = ()
