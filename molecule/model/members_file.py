"""Where a node keeps the members it knows, for its processes that read no log.

Alone, so that a program in a hurry can read the file without what the node needs to write it.
"""

from typing import Final

FILE: Final = "members.json"
"""In the data folder: `voters`, a list of ids, and `addresses`, by id."""
