"""The options of a process: defaults, bounds, and a clear word for those that come later."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from molecule.definition import later
from molecule.definition.definition import MaxFailed, Options
from molecule.definition.reading import Reader
from molecule.definition.yaml_guard import Node
from molecule.expression.expression import Expression, Expressions, together

_FAILOVER: Final = ("resume", "restart", "hold", "fail")
_DURABILITY: Final = ("durable", "volatile")
_ISOLATION: Final = ("shared", "process")
_KNOWN: Final = (
    "failover",
    "hold_for",
    "isolation",
    "concurrency",
    "overlap",
    "priority",
    "share",
    "placement",
    "timeout",
    "expires",
    "dedup_window",
    "crash_budget",
    "on_dead_letter",
    "max_failed",
    "track",
    "durability",
)
_OVERLAP: Final = ("allow", "queue", "skip", "replace")
_ON_PARK: Final = ("block", "pass")
_ON_DEAD_LETTER: Final = ("continue", "hold_key")
_SPREAD: Final = ("node", "zone")
_PRIORITY_MAX: Final = 9
_SHARE_MAX: Final = 100
_CRASH_BUDGET_MAX: Final = 100
_CONCURRENCY_MAX: Final = 10_000
_PERCENT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]+)?)%")
_WHOLE: Final = 100


def read_options(node: Node | None, reader: Reader) -> Options:
    """The options; defaults stand in for what has a fault, because nothing is built then."""
    if node is None or not reader.is_map(node, "options"):
        return Options()
    reader.unknown_fields(node, _KNOWN, "options", later.OPTIONS)
    return _Reading(reader, node.items).options()


@dataclass(frozen=True, slots=True)
class _Reading:
    reader: Reader
    items: Mapping[str, Node]

    def options(self) -> Options:
        by, limit, on_park = self._concurrency()
        require, prefer, zone, spread = self._placement()
        return Options(
            failover=self._choice("failover", _FAILOVER),
            hold_for_ms=self._hold_for(),
            isolation=self._choice("isolation", _ISOLATION),
            concurrency_by=by,
            concurrency_limit=limit,
            priority=self._integer("priority", 0, 0, _PRIORITY_MAX),
            require=require,
            prefer=prefer,
            share=self._integer("share", 1, 1, _SHARE_MAX),
            overlap=self._overlap(keyed=by is not None),
            on_park=on_park,
            on_dead_letter=self._on_dead_letter(keyed=by is not None),
            zone=zone,
            spread=spread,
            timeout_ms=self._duration("timeout"),
            expires_ms=self._duration("expires"),
            dedup_window_ms=self._dedup_window(),
            crash_budget=self._integer("crash_budget", 3, 1, _CRASH_BUDGET_MAX),
            max_failed=self._max_failed(),
            track=self._track(),
            durability=self._choice("durability", _DURABILITY),
        )

    def _choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of these words; the first is the default."""
        found = self.items.get(name)
        if found is None:
            return choices[0]
        return self.reader.choice(found, f"options.{name}", choices) or choices[0]

    def _hold_for(self) -> int:
        found, where = self.items.get("hold_for"), "options.hold_for"
        if found is None:
            return 0
        held_ms = self.reader.duration(found, where)
        failover = self.items.get("failover")
        if held_ms == 0:
            self.reader.fault(found, where, "must be longer than nothing")
        elif failover is None or failover.text != "hold":
            self.reader.fault(found, where, "has no effect without failover: hold")
        return held_ms or 0

    def _integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        found = self.items.get(name)
        if found is None:
            return default
        read = self.reader.integer(found, f"options.{name}", minimum=minimum, maximum=maximum)
        return default if read is None else read

    def _duration(self, name: str) -> int:
        found = self.items.get(name)
        return (self.reader.duration(found, f"options.{name}") or 0) if found else 0

    def _dedup_window(self) -> int:
        window_ms = self._duration("dedup_window")
        limits = self.reader.limits
        shortest, longest = limits.dedup_window_ms_min, limits.dedup_window_ms_max
        if window_ms and not shortest <= window_ms <= longest:
            self.reader.fault(
                self.items["dedup_window"],
                "options.dedup_window",
                f"must be from {shortest // 1_000} seconds to {longest // 86_400_000} days",
            )
        return window_ms

    def _overlap(self, *, keyed: bool) -> str:
        found, where = self.items.get("overlap"), "options.overlap"
        if found is None:
            return ""
        read = self.reader.choice(found, where, _OVERLAP) or ""
        if read == "allow" and keyed:
            what = "allow contradicts options.concurrency, which lets one wait for another"
            self.reader.fault(found, where, what, "remove one of them")
        return read

    def _on_dead_letter(self, *, keyed: bool) -> str:
        found, where = self.items.get("on_dead_letter"), "options.on_dead_letter"
        if found is None:
            return "continue"
        read = self.reader.choice(found, where, _ON_DEAD_LETTER) or "continue"
        if read == "hold_key" and not keyed:
            what = "hold_key needs a key to hold"
            self.reader.fault(found, where, what, "add options.concurrency.by")
        return read

    def _concurrency(self) -> tuple[Expression | None, int, str]:
        found, where = self.items.get("concurrency"), "options.concurrency"
        if found is None or not self.reader.is_map(found, where):
            return None, 0, "block"
        self.reader.unknown_fields(found, ("by", "limit", "on_park"), where)
        if "by" not in found.items:
            self.reader.fault(found, where, "by is missing", "an expression that gives the key")
            return None, 0, "block"
        on_park = found.items.get("on_park")
        parked = self.reader.choice(on_park, f"{where}.on_park", _ON_PARK) if on_park else "block"
        by = self.reader.expression(found.items["by"], f"{where}.by", f"{where}.by")
        if "limit" not in found.items:
            return by, 1, parked or "block"
        limit = self.reader.integer(
            found.items["limit"], f"{where}.limit", minimum=1, maximum=_CONCURRENCY_MAX
        )
        return by, limit or 1, parked or "block"

    def _placement(self) -> tuple[dict[str, str], dict[str, str], str, str]:
        found, where = self.items.get("placement"), "options.placement"
        if found is None or not self.reader.is_map(found, where):
            return {}, {}, "", ""
        self.reader.unknown_fields(found, ("require", "prefer", "zone", "spread"), where)
        spread = found.items.get("spread")
        spread_over = self.reader.choice(spread, f"{where}.spread", _SPREAD) if spread else ""
        zone = found.items.get("zone")
        in_zone = self.reader.text(zone, f"{where}.zone") if zone else ""
        require, prefer = (
            self.reader.text_map(found.items[name], f"{where}.{name}") or {}
            if name in found.items
            else {}
            for name in ("require", "prefer")
        )
        return require, prefer, in_zone or "", spread_over or ""

    def _track(self) -> Expressions | None:
        found, where = self.items.get("track"), "options.track"
        if found is None or not self.reader.is_map(found, where):
            return None
        bound = self.reader.limits.track_fields_max
        if len(found.items) > bound:
            self.reader.fault(found, where, f"more than track_fields_max, {bound} keys")
        read = {
            name: self.reader.expression(item, f"{where}.{name}", f"{where}.{name}")
            for name, item in found.items.items()
        }
        sound = {name: item for name, item in read.items() if item is not None}
        return together(sound, self.reader.engine) if sound else None

    def _max_failed(self) -> MaxFailed:
        found, where = self.items.get("max_failed"), "options.max_failed"
        if found is None:
            return MaxFailed()
        share = _PERCENT.fullmatch(found.text)
        if share and float(share[1]) <= _WHOLE:
            return MaxFailed(percent=float(share[1]))
        if found.kind == "scalar" and found.text.isdecimal():
            return MaxFailed(count=int(found.text))
        self.reader.fault(found, where, "must be a number of documents or a share", "such as 0, 5%")
        return MaxFailed()
