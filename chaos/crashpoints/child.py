"""Runs one script, to be watched: `python -m chaos.crashpoints.child SCRIPT FOLDER`."""

import sys
from pathlib import Path

from chaos.crashpoints.scripts import SCRIPTS

if __name__ == "__main__":
    SCRIPTS[sys.argv[1]].run(Path(sys.argv[2]))
