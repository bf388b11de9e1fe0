"""Which tests stay in one process of the run, in their order: those whose fixtures start servers.

`./dev test` hands out work by groups. A marker cannot say which: pytest-xdist 3.8.0 writes the name
of a group into an attribute that pytest 9.2 no longer reads, and then hands out test by test, in
silence.
"""

from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling

FILES: Final = ("tests/cluster/", "tests/components/test_sql_postgresql.py")
"""How the names of these files begin."""


def group_of(test: str) -> str:
    """The file, if it stays together; else the test alone."""
    return test.partition("::")[0] if test.startswith(FILES) else test


class Groups(LoadScopeScheduling):  # type: ignore[misc]  # has no types
    """Groups with many tests first: they take longest."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Groups | None:
    """Ours for `--dist loadgroup`, of pytest-xdist for any other."""
    return Groups(config, log) if config.getoption("dist") == "loadgroup" else None
