"""`molecule`: names the commands, runs one, and turns every failure into words and an exit code.

Commands are named by import path and imported when they run: `molecule --help` loads none of them.
"""

import os
import sys
from collections.abc import Sequence
from typing import Final, TextIO

from cyclopts import App, Group, Parameter
from cyclopts.exceptions import CycloptsError

from molecule import __version__
from molecule.cli import rival
from molecule.cli.failures import ExitCode, Failure, from_error
from molecule.model.errors import MoleculeError

_LOCAL: Final = Group.create_ordered("On this machine")
_CLUSTER: Final = Group.create_ordered("On a cluster")

_COMMANDS: Final = (
    ("demo", "molecule.cli.demo:demo", "Lose nodes on purpose and count what was lost.", _LOCAL),
    ("up", "molecule.cli.local_commands:up", "Start a cluster on this machine.", _LOCAL),
    ("down", "molecule.cli.local_commands:down", "Stop it; data is kept.", _LOCAL),
    ("serve", "molecule.cli.serve:serve", "Run one node in the foreground.", _LOCAL),
    ("version", "molecule.cli.version:version", "Show the version.", _LOCAL),
    ("apply", "molecule.cli.apply:apply", "Deploy a folder of processes.", _CLUSTER),
    ("process", "molecule.cli.process:app", "Look at processes.", _CLUSTER),
    ("execution", "molecule.cli.execution_actions:app", "Submit, find, watch, cancel.", _CLUSTER),
    ("why", "molecule.cli.why:why", "Tell why an execution is where it is.", _CLUSTER),
    ("connection", "molecule.cli.connection:app", "Look at breakers and rates.", _CLUSTER),
    ("table", "molecule.cli.table:app", "Look at rows of key tables, and change them.", _CLUSTER),
    ("deadletter", "molecule.cli.deadletter:app", "Look at documents that failed.", _CLUSTER),
    ("retention", "molecule.cli.retention:app", "Look at what is kept, and purge.", _CLUSTER),
    ("node", "molecule.cli.node:app", "Look at nodes.", _CLUSTER),
    ("cluster", "molecule.cli.cluster:app", "Look at the whole cluster.", _CLUSTER),
    ("chaos", "molecule.cli.chaos:app", "Break a cluster on purpose; judge what held.", _CLUSTER),
)

app = App(
    name="molecule",
    help="A clustered integration runtime.",
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
    default_parameter=Parameter(negative="", show_default=False),
)
for _name, _place, _help, _group in _COMMANDS:
    app.command(_place, name=_name, help=_help, group=_group)


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. Never raises, never shows a traceback."""
    code = _run(sys.argv[1:] if tokens is None else list(tokens))
    # Python ends with a code of its own when what is left to write cannot be written at its end.
    for stream in (sys.stdout, sys.stderr):
        _write_out(stream)
    return code


def _run(given: list[str]) -> int:
    try:
        rival.refuse()
        result = app(given, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except Failure as failure:
        return _tell(failure)
    except CycloptsError as error:
        return _tell(_usage(error, given))
    except MoleculeError as error:
        return _tell(from_error(error))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has enough.
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001 - the boundary: a fault of ours becomes words
        return _tell(_fault(error, given))
    return int(result) if isinstance(result, int) else ExitCode.DONE


def _write_out(stream: TextIO) -> None:
    """Write what is left; when nobody reads it any more (a pipe, a terminal), drop it."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()


def _tell(failure: Failure) -> int:
    print(failure.text(), file=sys.stderr)
    return int(failure.code)


def _usage(error: CycloptsError, tokens: Sequence[str]) -> Failure:
    chain = " ".join(error.command_chain or ())
    error.verbose = False
    told = " ".join(str(error).split())
    return Failure(
        told[:1].lower() + told[1:] if told else f"cannot understand {' '.join(tokens)}",
        then=f"see: {' '.join(f'molecule {chain} --help'.split())}",
        code=ExitCode.WRONG_USAGE,
    )


def _fault(error: Exception, tokens: Sequence[str]) -> Failure:
    if os.environ.get("MOLECULE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    return Failure(
        f"molecule {' '.join(tokens[:2])} failed in a way it should not".replace("  ", " "),
        why=f"{type(error).__name__}: {error}",
        then="repeat it with MOLECULE_DEBUG=1 and report what it prints",
    )


if __name__ == "__main__":
    sys.exit(main())
