"""The names that expressions see besides their document. No secret is ever among them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

BOUND: Final = (
    "trigger",
    "properties",
    "execution",
    "environment",
    "parent",
    "error",
    "result",
)
"""Names a designer may use as `$name`; `properties` comes from the document itself."""


@dataclass(frozen=True, slots=True)
class Names:
    """Values of the bound names, and the fixed instant and seed of `$now()` and `$random()`.

    JSON-shaped; None means not bound here. `error` is `{class, code, message, step}`, `environment`
    is `{name, values}`, `execution` is `{id, process, version, attempt, started}`.
    """

    trigger: Any = None
    execution: Any = None
    environment: Any = None
    parent: Any = None
    error: Any = None
    result: Any = None
    now_ms: int = 0
    seed: int = 0

    def bound(self, wanted: tuple[str, ...], properties: Mapping[str, Any]) -> dict[str, Any]:
        """The wanted names that have a value."""
        found: dict[str, Any] = {}
        for name in wanted:
            value = properties if name == "properties" else getattr(self, name)
            if value is not None:
                found[name] = value
        return found
