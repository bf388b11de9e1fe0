"""Registry and configuration: what a component may rely on."""

from importlib.metadata import EntryPoint

import pytest

from molecule.component import registry as registries
from molecule.component.config import Config
from molecule.component.registry import Registry, discover, step
from molecule.component.spec import Spec
from molecule.model.errors import BrokenInvariant, InvalidConfig, UnknownComponent


@step("elsewhere", Spec(summary="From another package."))
class Elsewhere:
    """A step of somebody else."""


def test_a_class_that_is_not_declared_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="is not declared as a component"):
        Registry().add(int)


def test_a_subclass_is_not_declared_by_its_parent() -> None:
    class Heir(Elsewhere):
        """Declared nowhere."""

    with pytest.raises(InvalidConfig):
        Registry().add(Heir)


def test_the_same_class_twice_is_one_component() -> None:
    registry = Registry()
    registry.add(Elsewhere)
    registry.add(Elsewhere)
    assert [found.type for found in registry.components()] == ["elsewhere"]


def test_what_nobody_declared_is_unknown() -> None:
    for ask in (Registry().step, Registry().connector, Registry().trigger):
        with pytest.raises(UnknownComponent, match="zzz"):
            ask("zzz")


def test_installed_extensions_are_found_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("elsewhere", f"{__name__}:Elsewhere", registries.ENTRY_POINT_GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda _: Elsewhere)
    monkeypatch.setattr(registries, "entry_points", lambda group: [point] if group else [])
    assert "elsewhere" in discover(()).steps
    assert "elsewhere" not in discover((), extensions=False).steps


def test_the_built_in_components_of_this_release_are_all_there() -> None:
    registry = discover(extensions=False)
    assert sorted(registry.steps) == [
        "assert",
        "await",
        "branch",
        "cache.get",
        "cache.put",
        "cache.remove",
        "call",
        "combine",
        "decision",
        "dedup",
        "file.read",
        "file.write",
        "filter",
        "foreach",
        "http.request",
        "log",
        "lookup",
        "map",
        "message",
        "parallel",
        "raise",
        "respond",
        "return",
        "route",
        "set",
        "split",
        "sql.execute",
        "sql.query",
        "sql.upsert",
        "stop",
        "table.delete",
        "table.get",
        "table.put",
        "try",
        "validate",
        "wait",
    ]
    assert sorted(registry.connectors) == ["file", "http", "sql"]
    assert sorted(registry.triggers) == [
        "called",
        "file.watch",
        "http.listen",
        "manual",
        "schedule",
    ]


def test_a_component_that_asks_for_what_its_spec_lacks_stops_the_process() -> None:
    config = Config({"name": "x", "empty": None})
    with pytest.raises(BrokenInvariant, match="lacks"):
        config.text("other")
    with pytest.raises(BrokenInvariant, match="another kind"):
        config.integer("name")
    with pytest.raises(BrokenInvariant, match="not declared optional"):
        config.text("empty")
    assert config.optional_text("empty") is None
