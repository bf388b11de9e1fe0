"""Fields that every step may have: output, retry, on_error, effect; read alike for all types."""

import re
from dataclasses import dataclass
from typing import Final

from molecule.definition.definition import OnError, Output, OutputMode, RetryPolicy
from molecule.definition.findings import did_you_mean
from molecule.definition.reading import Reader
from molecule.definition.yaml_guard import Node
from molecule.model.effect import Effect, ErrorClass

COMMON: Final = frozenset(
    {
        "id",
        "type",
        "label",
        "when",
        "output",
        "retry",
        "timeout",
        "on_error",
        "effect",
        "effect_key",
        "target_honours_key",
        "verify",
    }
)
_RETRY_FIELDS: Final = ("max", "first", "cap", "errors")
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_CLASSES: Final = tuple(error.value for error in ErrorClass)
_RETRIED: Final = {
    Effect.ONCE: (ErrorClass.TRANSIENT_DEFINITE.value,),
    Effect.IDEMPOTENT: (ErrorClass.TRANSIENT_DEFINITE.value, ErrorClass.TRANSIENT_UNKNOWN.value),
    Effect.PURE: (ErrorClass.TRANSIENT_DEFINITE.value, ErrorClass.TRANSIENT_UNKNOWN.value),
}


@dataclass(frozen=True, slots=True)
class FieldReader:
    """Reads the common fields of one step at a place."""

    reader: Reader
    node: Node
    where: str

    def label(self) -> str:
        """For people; empty when it is not given."""
        found = self.node.items.get("label")
        return (self.reader.text(found, f"{self.where}.label") or "") if found else ""

    def output(self, default: str) -> Output:
        """`replace`, `keep` or `{into: NAME}`."""
        found, where = self.node.items.get("output"), f"{self.where}.output"
        if found is None:
            return Output(OutputMode(default))
        if found.kind != "map":
            word = self.reader.choice(found, where, ("replace", "keep"))
            return Output(OutputMode(word or default))
        self.reader.unknown_fields(found, ("into",), where)
        into = found.items.get("into")
        if into is None:
            self.reader.fault(found, where, "into is missing", "write {into: NAME}")
            return Output(OutputMode(default))
        return Output(OutputMode.INTO, self.reader.text(into, f"{where}.into") or "")

    def retry(self, effect: Effect) -> RetryPolicy | None:
        """The policy; errors default to what this effect may repeat."""
        found, where = self.node.items.get("retry"), f"{self.where}.retry"
        if found is None or not self.reader.is_map(found, where):
            return None
        self.reader.unknown_fields(found, _RETRY_FIELDS, where)
        items = found.items
        max_ = None
        if "max" not in items:
            self.reader.fault(found, where, "max is missing", "how often to try again")
        else:
            max_ = self.reader.integer(
                items["max"],
                f"{where}.max",
                minimum=0,
                maximum=self.reader.limits.retry_attempts_max,
            )
        first = self._duration(found, where, "first", 1_000)
        cap = self._duration(found, where, "cap", 60_000)
        errors = (
            self.errors(items["errors"], f"{where}.errors")
            if "errors" in items
            else _RETRIED[effect]
        )
        unknown = ErrorClass.TRANSIENT_UNKNOWN.value
        if effect is Effect.ONCE and unknown in errors:
            self.reader.fault(
                items["errors"],
                f"{where}.errors",
                f"a once step must not be retried on {unknown}: it may have happened",
                "declare verify; or effect_key with target_honours_key: true",
            )
        return RetryPolicy(max_ if max_ is not None else 1, first, max(cap, first), errors)

    def errors(self, node: Node, where: str) -> tuple[str, ...]:
        """Error classes and codes; a class misspelt is a fault."""
        found: list[str] = []
        for at, item in enumerate(node.elements if node.kind == "list" else [node]):
            word = self.reader.text(item, f"{where}[{at}]")
            if word is None:
                continue
            if word not in _CLASSES and ("." in word or not _CODE.fullmatch(word)):
                hint = did_you_mean(word, _CLASSES)
                self.reader.fault(item, f"{where}[{at}]", f"no error class is {word}", hint)
            found.append(word)
        return tuple(found)

    def on_error(self, *, inside_foreach: bool) -> OnError:
        """What becomes of a document that failed."""
        found = self.node.items.get("on_error")
        default = OnError.FAIL_DOCUMENT if inside_foreach else OnError.FAIL
        if found is None:
            return default
        choices = tuple(choice.value for choice in OnError)
        word = self.reader.choice(found, f"{self.where}.on_error", choices)
        return OnError(word) if word else default

    def timeout_ms(self) -> int | None:
        """The step's time-out."""
        found = self.node.items.get("timeout")
        return self.reader.duration(found, f"{self.where}.timeout") if found else None

    def effect(self, declared: Effect, *, is_operation: bool) -> Effect:
        """The final effect: what is declared, overridden, or made idempotent by an honoured key."""
        items = self.node.items
        for name in ("effect", "effect_key", "target_honours_key", "verify"):
            if name in items and not is_operation:
                self.reader.fault(
                    items[name],
                    f"{self.where}.{name}",
                    f"{name} belongs to operations of connectors; this step leaves no trace",
                )
        if not is_operation:
            return declared
        effect = declared
        if "effect" in items:
            choices = tuple(choice.value for choice in Effect)
            word = self.reader.choice(items["effect"], f"{self.where}.effect", choices)
            effect = Effect(word) if word else declared
        return self._honoured(effect)

    def _honoured(self, effect: Effect) -> Effect:
        found = self.node.items.get("target_honours_key")
        if found is None:
            return effect
        where = f"{self.where}.target_honours_key"
        if not isinstance(found.value, bool):
            self.reader.fault(found, where, "must be true or false")
            return effect
        if found.value and "effect_key" not in self.node.items:
            self.reader.fault(found, where, "needs effect_key", "say by which key it is honoured")
        return Effect.IDEMPOTENT if found.value and effect is Effect.ONCE else effect

    def _duration(self, node: Node, where: str, name: str, default: int) -> int:
        found = node.items.get(name)
        if found is None:
            return default
        return self.reader.duration(found, f"{where}.{name}") or default
