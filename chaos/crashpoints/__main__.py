"""The command line: `python -m chaos.crashpoints --help`."""

import sys

from chaos.crashpoints.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
