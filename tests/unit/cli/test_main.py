"""The command line as a program: what it imports, and that every command explains itself."""

import subprocess
import sys

import pytest

from molecule.cli import main
from tests.unit.cli.conftest import Shell

LEAVES = [
    *(["execution", verb] for verb in ("submit", "list", "show", "timeline", "follow")),
    *(["execution", verb] for verb in ("cancel", "resolve", "release", "fail", "retry", "signal")),
    *([noun, verb] for noun in ("process", "deadletter", "node") for verb in ("list", "show")),
    ["cluster", "status"],
    *([verb] for verb in ("apply", "serve", "version", "up", "down", "demo")),
]


@pytest.mark.parametrize("tokens", LEAVES, ids=" ".join)
def test_every_command_explains_itself(shell: Shell, tokens: list[str]) -> None:
    said = shell.run(*tokens, "--help")

    assert said.code == 0
    assert f"molecule {' '.join(tokens)}" in said.out


def test_help_lists_every_command(shell: Shell) -> None:
    said = shell.run("--help")

    assert all(f"│ {leaf[0]} " in said.out for leaf in LEAVES)


def test_help_imports_no_command_and_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from molecule.cli import main\n"
        "main.main(['--help'])\n"
        "heavy = ('httpx2', 'grpc', 'fastapi', 'pydantic', 'pysyncobj', 'molecule.demo')\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stderr == "[]\n"


def test_interrupt_ends_without_a_traceback(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "app", interrupted)
    said = shell.run("cluster", "status")

    assert (said.code, said.out, said.talk) == (130, "", "stopped\n")
