"""The layers: read from the tables in docs/architecture.md, checked against the import graph.

The page is the only place where layers are written down, so page and code cannot drift apart.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.tidy.source import Source, imports

PAGE = "docs/architecture.md"
WIRE_FROM_LAYER = 2


@dataclass(frozen=True)
class Layer:
    """One row: packages of equal height, what they may import of each other, what they never do."""

    number: int
    packages: tuple[str, ...]
    sideways: frozenset[tuple[str, str]] = frozenset()
    never: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rules:
    """Both tables of the page: the layers, and the libraries that only some packages import."""

    layers: tuple[Layer, ...]
    libraries: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def place(self, module: str) -> tuple[Layer, str] | None:
        """Layer and package (the longest name of the table that fits) of a dotted module name."""
        name = module.removeprefix("molecule.")
        fitting = [
            (layer, package)
            for layer in self.layers
            for package in layer.packages
            if name == package or name.startswith(f"{package}.")
        ]
        return max(fitting, key=lambda found: len(found[1]), default=None)


def read(page: str) -> Rules:
    """The rules as the page states them; ValueError when a table is missing."""
    layers = []
    for row in _table(page, "layer"):
        number, packages, sideways, never = row[0], row[2], row[3], row[4]
        layers.append(
            Layer(
                int(number),
                tuple(_names(packages)),
                frozenset(re.findall(r"`([\w.]+)` → `([\w.]+)`", sideways)),
                frozenset(_names(never)),
            )
        )
    libraries = {
        library: tuple(_names(row[1]))
        for row in _table(page, "library")
        for library in _names(row[0])
    }
    return Rules(tuple(layers), libraries)


def _table(page: str, first_heading: str) -> list[list[str]]:
    table = re.search(rf"^\| {first_heading} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    if table is None:
        raise ValueError(f"{PAGE} has no table that begins with the column {first_heading!r}")
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[1].splitlines()]


def _names(cell: str) -> list[str]:
    return re.findall(r"`([\w.]+)`", cell)


def faults(rules: Rules, files: Iterable[Source]) -> list[str]:
    """Each import that the tables do not allow, and each module that they do not place."""
    found = []
    for source in files:
        here = rules.place(source.module)
        if here is None:
            if source.module != "molecule":
                found.append(f"{source.path}: in no layer of {PAGE}")
            continue
        for item in imports(source):
            reason = _refused(rules, here, source.module, item.candidates)
            if reason:
                found.append(f"{source.path}:{item.line}: {item.name}: {reason}")
    return found


def _refused(
    rules: Rules, here: tuple[Layer, str], module: str, candidates: tuple[str, ...]
) -> str | None:
    layer, package = here
    imported = candidates[-1]
    if not imported.startswith("molecule"):
        return _library_refused(rules, module, imported)
    if imported.startswith("molecule.wire") or candidates[0].startswith("molecule.wire"):
        low = layer.number < WIRE_FROM_LAYER or layer.number == 3
        return "wire is closed to this layer" if low else None
    placed = [place for name in candidates if (place := rules.place(name))]
    if not placed:
        return None
    other, target = max(placed, key=lambda place: len(place[1]))
    short = module.removeprefix("molecule.")
    allowed = [(package, target), (short, target), *((short, _short(name)) for name in candidates)]
    if target == package or any(pair in layer.sideways for pair in allowed):
        return None
    if target in layer.never:
        return f"{package} never imports {target}"
    if other.number == layer.number:
        return f"{package} and {target} are both in layer {layer.number}"
    if other.number > layer.number:
        return f"layer {layer.number} imports layer {other.number}"
    return None


def _short(module: str) -> str:
    return module.removeprefix("molecule.")


def _library_refused(rules: Rules, module: str, imported: str) -> str | None:
    homes = rules.libraries.get(imported.split(".", maxsplit=1)[0])
    if homes is None:
        return None
    short = _short(module)
    if any(short == home or short.startswith(f"{home}.") for home in homes):
        return None
    return f"only {', '.join(homes)} may import it"
