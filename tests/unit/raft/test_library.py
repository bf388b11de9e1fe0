"""The boundary to the core: one version, one file, no pickle."""

import ast
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from pysyncobj import syncobj

import molecule.raft
from molecule.model.errors import BrokenInvariant
from molecule.raft.library import SUPPORTED_VERSION, UnsupportedLibrary, verify_library

FOLDER = Path(molecule.raft.__file__).parent


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_the_installed_library_is_the_supported_one() -> None:
    verify_library()


@pytest.mark.parametrize("version", ["0.3.14", "0.3.16", "0.3.18", "0.4.0"])
def test_any_other_version_is_refused_with_the_way_to_mend_it(version: str) -> None:
    with pytest.raises(UnsupportedLibrary, match=f"pip install pysyncobj=={SUPPORTED_VERSION}"):
        verify_library(version)


def test_a_library_without_a_private_name_is_refused_by_that_name() -> None:
    changed = SimpleNamespace(**vars(syncobj))
    changed.SyncObj = type("SyncObj", (), {})

    with pytest.raises(UnsupportedLibrary, match="_SyncObj__applyLogEntries"):
        verify_library(SUPPORTED_VERSION, changed)


def test_one_file_imports_the_library_and_none_imports_pickle() -> None:
    by_file = {path.name: imports(path) for path in FOLDER.glob("*.py")}

    assert [name for name, found in by_file.items() if "pysyncobj" in found] == ["library.py"]
    assert not [name for name, found in by_file.items() if found & {"pickle", "dill", "marshal"}]


def test_addresses_can_be_written_while_the_library_is_loaded() -> None:
    assert socket.inet_ntop(socket.AF_INET6, bytes(15) + b"\x01") == "::1"


def test_the_core_cannot_reach_pickle() -> None:
    with pytest.raises(BrokenInvariant, match="pickle"):
        syncobj.pickle.loads(b"")
