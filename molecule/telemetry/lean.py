"""Imported first by the processes of a node: leaves out what they would load and never use.

A node has at least three processes that live as long as it does, so a few megabytes count.
"""

import gc
import sys

# The library of logs takes it for consoles as soon as it is installed; a node writes lines of JSON.
sys.modules["rich"] = None  # type: ignore[assignment]  # what import takes for "not there"


def settle(*, objects: int) -> None:
    """What is loaded by now stays: look for cycles only among what comes after it.

    And only when there are so many new objects: requests and executions end without cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(objects, 20, 100)
