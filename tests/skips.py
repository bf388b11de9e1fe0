"""`--refuse-unlisted-skips`: a skip whose reason is not in tests/skips.txt fails the run.

On a developer's machine a missing tool may skip a test; where changes are judged it may not. A line
of the list is a reason, or the beginning of one; lines that start with `#` say why it is allowed.
"""

from pathlib import Path

import pytest

LIST = Path(__file__).parent / "skips.txt"


def allowed_reasons(listed: str) -> tuple[str, ...]:
    """The reasons of the list, comments and empty lines left out."""
    lines = (line.strip() for line in listed.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def is_listed(reason: str, allowed: tuple[str, ...]) -> bool:
    """True when a listed reason is how this one begins."""
    return reason.removeprefix("Skipped: ").startswith(allowed) if allowed else False


class UnlistedSkips:
    """Remembers unlisted skips of one run and fails it at the end."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._allowed = allowed
        self._found: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look at every skip; with several processes all reports arrive at the first one."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self._look(report.nodeid, report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Look at files skipped as a whole."""
        if report.skipped:
            self._look(report.nodeid, report.longrepr)

    def _look(self, place: str, longrepr: object) -> None:
        reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
        if not is_listed(str(reason), self._allowed):
            self._found.append(f"{place}: {reason}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name them."""
        for line in self._found:
            terminalreporter.write_line(f"skipped, and not in tests/skips.txt: {line}", red=True)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run that was otherwise green."""
        if self._found and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option of this plugin."""
    parser.addoption(
        "--refuse-unlisted-skips",
        action="store_true",
        help="fail when a test is skipped for a reason that tests/skips.txt does not list",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Watch in the process that collects all reports."""
    if config.getoption("--refuse-unlisted-skips") and not hasattr(config, "workerinput"):
        allowed = allowed_reasons(LIST.read_text(encoding="utf-8"))
        config.pluginmanager.register(UnlistedSkips(allowed), "unlisted-skips")
