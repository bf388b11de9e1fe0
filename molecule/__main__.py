"""`python -m molecule`: the command line, without needing its script on the path."""

import sys

from molecule.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
