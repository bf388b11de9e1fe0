"""Components by type. Built-ins are found by scanning packages, others by entry point.

The decorators only mark a class with its declaration; a `Registry` is built by a root or a worker,
so nothing is registered by the mere import of a module. One type, one component: a second is
refused.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Final, Literal, TypeVar

from molecule.component.spec import ConnectorSpec, Spec
from molecule.config import Limits
from molecule.expression.engine import Engine, make
from molecule.model.errors import InvalidConfig, UnknownComponent

BUILT_IN: Final = ("molecule.steps", "molecule.connectors", "molecule.triggers")
ENTRY_POINT_GROUP: Final = "molecule.components"

Kind = Literal["step", "connector", "operation", "trigger"]
_MARK = "__molecule_component__"
_Class = TypeVar("_Class", bound=type[Any])


@dataclass(frozen=True, slots=True)
class Component:
    """A class with its declaration; `spec` is a `ConnectorSpec` when `kind` is connector."""

    kind: Kind
    type: str
    spec: Spec | ConnectorSpec
    build: Callable[..., Any]

    @property
    def connector(self) -> str:
        """The connector of an operation or watching trigger: `http` of `http.request`."""
        return self.type.partition(".")[0]


def step(type_: str, spec: Spec) -> Callable[[_Class], _Class]:
    """Declare a step: `Step`, `ListStep`, or a block whose control flow the engine knows."""
    return _marking("step", type_, spec)


def connector(type_: str, spec: ConnectorSpec) -> Callable[[_Class], _Class]:
    """Declare a connector; its operations are named `<type>.<operation>`."""
    return _marking("connector", type_, spec)


def operation(type_: str, spec: Spec) -> Callable[[_Class], _Class]:
    """Declare an operation of a connector."""
    return _marking("operation", type_, spec)


def trigger(type_: str, spec: Spec) -> Callable[[_Class], _Class]:
    """Declare a trigger."""
    return _marking("trigger", type_, spec)


def _marking(kind: Kind, type_: str, spec: Spec | ConnectorSpec) -> Callable[[_Class], _Class]:
    def mark(cls: _Class) -> _Class:
        setattr(cls, _MARK, Component(kind, type_, spec, cls))
        return cls

    return mark


@dataclass(slots=True)
class Registry:
    """Components by kind and type. Filled once by who builds it, then only read."""

    steps: dict[str, Component] = field(default_factory=dict)
    """Steps and operations: everything that may stand as `type:` in a list of steps."""
    connectors: dict[str, Component] = field(default_factory=dict)
    triggers: dict[str, Component] = field(default_factory=dict)
    expressions: Engine = field(default_factory=lambda: make("jlens", Limits()))
    """The engine that compiles the expressions of every configuration."""

    def add(self, cls: type[Any]) -> None:
        """Take a marked class. Raises `InvalidConfig` for another class or a type taken twice."""
        found = cls.__dict__.get(_MARK)
        if not isinstance(found, Component):
            raise InvalidConfig(f"{cls.__qualname__} is not declared as a component")
        place = self._of(found.kind)
        known = place.get(found.type)
        if known is not None and known.build is not cls:
            raise InvalidConfig(f"two components are called {found.type}", type=found.type)
        place[found.type] = found

    def add_module(self, module: ModuleType) -> None:
        """Take every marked class that the module itself defines."""
        for value in vars(module).values():
            own = isinstance(value, type) and value.__module__ == module.__name__
            if own and _MARK in value.__dict__:
                self.add(value)

    def step(self, type_: str) -> Component:
        """A step or operation. Raises `UnknownComponent`."""
        return _found(self.steps, type_, "step")

    def connector(self, type_: str) -> Component:
        """A connector. Raises `UnknownComponent`."""
        return _found(self.connectors, type_, "connector")

    def trigger(self, type_: str) -> Component:
        """A trigger. Raises `UnknownComponent`."""
        return _found(self.triggers, type_, "trigger")

    def components(self) -> Iterable[Component]:
        """All of them, in order of kind and type."""
        for place in (self.steps, self.connectors, self.triggers):
            yield from (place[type_] for type_ in sorted(place))

    def _of(self, kind: Kind) -> dict[str, Component]:
        if kind == "connector":
            return self.connectors
        return self.triggers if kind == "trigger" else self.steps


def _found(place: Mapping[str, Component], type_: str, what: str) -> Component:
    try:
        return place[type_]
    except KeyError:
        raise UnknownComponent(f"there is no {what} called {type_}", type=type_) from None


def discover(
    packages: tuple[str, ...] = BUILT_IN,
    *,
    extensions: bool = True,
    expressions: Engine | None = None,
) -> Registry:
    """All built-in components and, unless refused, those of installed extensions."""
    registry = Registry() if expressions is None else Registry(expressions=expressions)
    for name in packages:
        package = importlib.import_module(name)
        for found in pkgutil.iter_modules(package.__path__, f"{name}."):
            registry.add_module(importlib.import_module(found.name))
    if extensions:
        for point in entry_points(group=ENTRY_POINT_GROUP):
            loaded = point.load()
            registry.add_module(loaded) if isinstance(loaded, ModuleType) else registry.add(loaded)
    return registry
