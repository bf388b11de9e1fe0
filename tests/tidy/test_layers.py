"""The import graph obeys the tables of docs/architecture.md."""

import pytest

from tests.tidy import layers
from tests.tidy.source import ROOT, Source, hold, sources

PAGE = """
| layer | duty | packages | sideways | never |
|---|---|---|---|---|
| 0 | nouns | `model` `config` | `config` → `model` | |
| 1 | contract | `component` | | |
| 2 | pure | `cluster` `scheduler` | `scheduler` → `cluster` | |
| 3 | components | `steps` | | `cluster` |
| 4 | adapters | `raft` `storage` | | |
| 5 | node | `node` | | |
| 7 | command line | `cli` | `cli.local` → `raft` | `node` `raft` |

| library | only in |
|---|---|
| `pysyncobj` | `raft.library` |
"""


def planted(path: str, text: str) -> list[str]:
    return layers.faults(layers.read(PAGE), [Source(path, text)])


def test_the_tree_obeys_the_page() -> None:
    rules = layers.read((ROOT / layers.PAGE).read_text(encoding="utf-8"))
    hold(layers.faults(rules, sources("molecule")))


def test_the_page_places_every_package_that_exists() -> None:
    rules = layers.read((ROOT / layers.PAGE).read_text(encoding="utf-8"))
    named = {package for layer in rules.layers for package in layer.packages}
    there = {source.module.split(".")[1] for source in sources("molecule") if "." in source.module}
    assert there <= {package.split(".")[0] for package in named} | {"wire"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("molecule/cluster/apply.py", "import molecule.raft.replica"),
        ("molecule/cluster/apply.py", "from molecule.node import leader"),
        ("molecule/cluster/apply.py", "from molecule.scheduler.plan import plan"),
        ("molecule/raft/driver.py", "from molecule.storage import documents"),
        ("molecule/steps/filter.py", "from molecule.cluster import state"),
        ("molecule/steps/filter.py", "from molecule.wire.v1 import door_pb2"),
        ("molecule/component/spec.py", "import molecule.wire.v1.door_pb2"),
        ("molecule/cli/main.py", "from molecule.raft import files"),
        ("molecule/cli/main.py", "def start():\n    from molecule.node import process"),
        ("molecule/raft/driver.py", "import pysyncobj"),
        ("molecule/raft/driver.py", "from pysyncobj.syncobj import SyncObj"),
        ("molecule/elsewhere/thing.py", "x = 1"),
    ],
)
def test_the_rule_finds_a_planted_import(path: str, text: str) -> None:
    assert planted(path, text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("molecule/scheduler/plan.py", "from molecule.cluster.state import ClusterState"),
        ("molecule/cluster/apply.py", "from molecule.cluster import state"),
        ("molecule/cluster/apply.py", "from molecule.wire.v1 import commands_pb2"),
        ("molecule/raft/library.py", "import pysyncobj"),
        ("molecule/cli/local.py", "from molecule.raft import files"),
        ("molecule/node/leader.py", "from molecule.scheduler import plan"),
    ],
)
def test_the_rule_lets_allowed_imports_pass(path: str, text: str) -> None:
    assert planted(path, text) == []


def test_a_page_without_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no table"):
        layers.read("# Architecture\n")
