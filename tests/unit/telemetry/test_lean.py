"""The processes of a node do without what they never use."""

import subprocess
import sys

import pytest

_LOADED = "import sys, {root}; print(*sorted(name for name in {names} if sys.modules.get(name)))"


def loaded(root: str, *names: str) -> str:
    """Which of these a fresh process has after it imported a root."""
    code = _LOADED.format(root=root, names=names)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ended.stdout.strip()


@pytest.mark.parametrize(
    "root", ["molecule.node.__main__", "molecule.gateway", "molecule.worker.__main__"]
)
def test_a_process_that_writes_json_lines_does_without_a_console(root: str) -> None:
    assert loaded(root, "rich", "pygments") == ""


@pytest.mark.parametrize("root", ["molecule.gateway", "molecule.worker.__main__"])
def test_a_process_that_speaks_to_its_own_node_alone_makes_no_certificates(root: str) -> None:
    assert loaded(root, "cryptography", "pysyncobj", "aiosqlite") == ""


def test_a_worker_has_no_http_server_and_a_gateway_no_engine() -> None:
    assert loaded("molecule.worker.__main__", "fastapi", "uvicorn") == ""
    assert loaded("molecule.gateway", "molecule.engine", "jlens") == ""


def test_work_of_a_dead_node_does_not_wait_for_what_its_report_does_not_need() -> None:
    assert loaded("molecule.node.death_report", "pydantic", "structlog", "cryptography") == ""


def test_the_supervisor_needs_the_standard_library_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import molecule.serve; "
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(*sorted(names - sys.stdlib_module_names))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "molecule"
