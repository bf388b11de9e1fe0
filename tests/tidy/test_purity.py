"""Layers 0 to 2 read no clock, disk, network or chance, and replicas cannot diverge by order."""

import pytest

from tests.tidy import layers, purity
from tests.tidy.source import ROOT, Source, hold, imports, sources

PURE_LAYERS = (0, 1, 2)


def pure_files() -> list[Source]:
    rules = layers.read((ROOT / layers.PAGE).read_text(encoding="utf-8"))
    placed = [(source, rules.place(source.module)) for source in sources("molecule")]
    return [source for source, place in placed if place and place[0].number in PURE_LAYERS]


def replicated_files() -> list[Source]:
    return [source for source in pure_files() if source.path.startswith("molecule/cluster/")]


JUDGING = ("record", "records", "declared", "history", "linearizable", "verdict", "checks")
"""Modules of `chaos` that judge a run: others write histories, these only read them."""


def judging_files() -> list[Source]:
    return [one for one in sources("chaos") if one.module.split(".")[1:2] and _judges(one.module)]


def _judges(module: str) -> bool:
    return module.split(".")[1] in JUDGING


def judge_faults(files: list[Source]) -> list[str]:
    """Imports of the product other than its nouns, and of what makes histories."""
    return [
        f"{source.path}:{item.line}: imports {item.name}"
        for source in files
        for item in imports(source)
        if (item.name.startswith("molecule") and not item.name.startswith("molecule.model"))
        or (item.name.startswith("chaos.") and not _judges(item.name))
        or item.name.startswith("tests")
    ]


def planted(text: str) -> list[Source]:
    return [Source("molecule/cluster/x.py", text)]


def test_pure_layers_import_nothing_impure() -> None:
    assert pure_files()
    hold(purity.import_faults(pure_files()))


def test_who_judges_a_run_reads_its_history_and_nothing_else() -> None:
    assert len(judging_files()) > len(JUDGING)
    hold(purity.import_faults(judging_files()))
    hold(purity.call_faults(judging_files()))
    hold(judge_faults(judging_files()))


@pytest.mark.parametrize(
    "text",
    [
        "from molecule.cluster import views",
        "import molecule.node",
        "from chaos.cluster import Cluster",
        "from tests.cluster.recorder import Recorder",
    ],
)
def test_the_rule_finds_what_a_judge_must_not_know(text: str) -> None:
    assert judge_faults([Source("chaos/checks/x.py", text)])


def test_pure_layers_read_no_clock_and_no_file() -> None:
    hold(purity.call_faults(pure_files()))


def test_the_replicated_state_does_not_depend_on_the_order_of_sets() -> None:
    assert replicated_files()
    hold(purity.divergence_faults(replicated_files()))


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from time import monotonic",
        "import os.path",
        "def late():\n    import random",
        "from urllib.request import urlopen",
        "import asyncio",
        "import logging",
        "from io import open_code",
    ],
)
def test_the_rule_finds_an_impure_import(text: str) -> None:
    assert purity.import_faults(planted(text))


def test_values_in_memory_are_pure() -> None:
    assert (
        purity.import_faults(planted("from io import StringIO\nfrom urllib.parse import quote"))
        == []
    )


@pytest.mark.parametrize("text", ["datetime.now()", "date.today()", "open('x')", "print(1)"])
def test_the_rule_finds_a_call_that_touches_the_world(text: str) -> None:
    assert purity.call_faults(planted(text))


@pytest.mark.parametrize(
    "text",
    [
        "for x in {1, 2}: ...",
        "for x in set(values): ...",
        "names = set()\nfor x in names: ...",
        "def f(names: frozenset[str]): return [x for x in names]",
        "class A:\n    free: set[str]\ndef f(a): return list(a.free)",
        "free: set[str] = set()\nfirst = next(iter(free))",
        "free: set[str] = set()\none = free.pop()",
        "free: set[str] = set()\ntext = ','.join(free)",
        "both = [*(a | set(b))]",
        "x = hash('a')",
        "x = id(y)",
        "x = 0.5",
        "x = float(y)",
        "x = a / b",
    ],
)
def test_the_rule_finds_what_makes_replicas_differ(text: str) -> None:
    assert purity.divergence_faults(planted(text))


@pytest.mark.parametrize(
    "text",
    [
        "free: set[str] = set()\nfor x in sorted(free): ...",
        "free: set[str] = set()\nknown = 'a' in free",
        "for x in {'a': 1}: ...",
        "x = a // b",
        "rows: list[str] = []\nlast = rows.pop()",
    ],
)
def test_the_rule_lets_sorted_sets_and_integers_pass(text: str) -> None:
    assert purity.divergence_faults(planted(text)) == []
