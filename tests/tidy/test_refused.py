"""No unsafe module, no vanishing check, no unfinished mark, no address of one machine."""

from pathlib import Path

import pytest

from tests.tidy import refused
from tests.tidy.source import ROOT, Source, hold, sources, tracked

INNER_IMPORTS = (
    "molecule.cli",
    "molecule.serve",
    "molecule.gateway",
    "molecule.worker.__main__",
    "molecule.demo",
    "molecule.__main__",
)
"""Command line and roots, where start-up time counts."""

EXTRAS = ("molecule.connectors", "molecule.expression", "molecule.component.json_schema")
"""Libraries that an installation may lack, or that most processes never need."""

PROVES_REFUSAL = ("tests/adapters/", "tests/unit/raft/")
"""Tests that send what must be refused, or compare with the library that does it."""

MARK = "TO" + "DO"


def planted(text: str) -> list[Source]:
    return [Source("molecule/x.py", text)]


def test_nothing_loads_code_from_data_and_nothing_forks() -> None:
    hold(
        refused.module_faults(
            sources("molecule", "chaos"), refused.UNSAFE_MODULES | refused.FORKING_MODULES
        )
    )
    others = [each for each in sources("tests") if not each.path.startswith(PROVES_REFUSAL)]
    hold(refused.module_faults(others, refused.UNSAFE_MODULES))


def test_no_check_vanishes_and_no_task_is_lost() -> None:
    hold(refused.statement_faults(sources("molecule")))


def test_unit_and_property_tests_do_not_sleep() -> None:
    hold(refused.sleep_faults(sources("tests/unit", "tests/properties", "tests/components")))


def test_imports_inside_functions_stay_where_start_up_counts() -> None:
    hold(refused.inner_import_faults(sources("molecule"), INNER_IMPORTS + EXTRAS))


def test_packages_re_export_nothing() -> None:
    packages = [source for source in sources("molecule") if source.module != "molecule"]
    hold(refused.init_faults(packages))


def test_no_file_is_unfinished_or_tied_to_a_machine() -> None:
    above = str(ROOT.parent)
    found = [
        fault
        for path in tracked()
        if Path(path).suffix not in {".gz", ".png", ".svg"}
        and not path.startswith("molecule/wire/")
        for fault in refused.text_faults(
            path, (ROOT / path).read_text(encoding="utf-8", errors="replace"), above=above
        )
    ]
    hold(found)


def test_the_lock_names_no_index() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["import pickle", "from pickle import loads"])
def test_the_rule_finds_an_unsafe_module(text: str) -> None:
    assert refused.module_faults(planted(text), refused.UNSAFE_MODULES)


@pytest.mark.parametrize(
    "text",
    ["assert x", "asyncio.create_task(work())", "loop.create_task(work())", "time.sleep(1)"],
)
def test_the_rule_finds_an_unsafe_statement(text: str) -> None:
    assert refused.statement_faults(planted(text))


def test_a_task_of_a_group_is_allowed() -> None:
    assert refused.statement_faults(planted("group.create_task(work())")) == []


@pytest.mark.parametrize("text", ["await asyncio.sleep(0.1)", "sleep(1)", "anyio.sleep(some)"])
def test_the_rule_finds_a_sleep(text: str) -> None:
    assert refused.sleep_faults(planted(f"async def f():\n    {text}"))


def test_letting_others_run_is_no_sleep() -> None:
    assert refused.sleep_faults(planted("async def f():\n    await asyncio.sleep(0)")) == []


def test_the_rule_finds_an_import_inside_a_function() -> None:
    text = "def f():\n    import json"
    assert refused.inner_import_faults(planted(text), ("molecule.cli",))
    assert refused.inner_import_faults(planted(text), ("molecule.x",)) == []


def test_the_rule_finds_a_re_export() -> None:
    text = '"""Duty."""\nfrom molecule.x import y\n'
    assert refused.init_faults([Source("molecule/a/__init__.py", text)])


@pytest.mark.parametrize(
    "line",
    [
        f"# {MARK}: later",
        "raise NotImplemented" + "Error",
        "x = y  # type: " + "ignore",
        "x = y  # no" + "qa",
        "--index-url=" + "https://example.com/simple",
        '"resolved": "' + 'https://example.com/x.tgz"',
        "cd /ho" + "me/somebody/molecule",
        "see /build/area/molecule/x",
    ],
)
def test_the_rule_finds_a_planted_line(line: str) -> None:
    assert refused.text_faults("molecule/x.py", f"x = 1\n{line}\n", above="/build/area")


@pytest.mark.parametrize(
    "line",
    ["x = y  # type: ignore[attr-defined]", "uv pip compile --no-emit-index-url", "/tmp/x/data"],
)
def test_the_rule_lets_an_innocent_line_pass(line: str) -> None:
    assert refused.text_faults("molecule/x.py", line, above="/tmp") == []
