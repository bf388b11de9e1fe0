"""Judges one script and prints its result as JSON: `python -m chaos.crashpoints.apart SCRIPT`."""

import json
import sys

from chaos.crashpoints.campaign import run

if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1]).as_values()))
