"""Hashes by which replicas are compared: the rolling one over the log, the full one over the rows.

What stays true: equal logs give equal hashes on every replica, whatever its Python's hash seed or
version.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from molecule.cluster.changes import Row
from molecule.cluster.outcome import Applied, Outcome

_SIZE: Final = 16

START: Final = bytes(_SIZE)
"""The rolling hash before the first entry."""


def roll(previous: bytes, entry: bytes, outcomes: Iterable[Outcome]) -> bytes:
    """The hash after an entry: of the one before, its bytes and what its commands came to."""
    digest = hashlib.blake2b(previous, digest_size=_SIZE)
    digest.update(len(entry).to_bytes(8, "big"))
    digest.update(entry)
    for outcome in outcomes:
        head = outcome.value if isinstance(outcome, Applied) else outcome.reason
        # Facts hold text, whole numbers and booleans only: their repr is the same everywhere.
        digest.update(repr((head, sorted(outcome.facts.items()))).encode())
    return digest.digest()


def fingerprint(text: str) -> bytes:
    """A long name in few bytes, to be compared and never shown."""
    return hashlib.blake2b(text.encode(), digest_size=_SIZE).digest()


def of_rows(rows: Iterable[Row]) -> bytes:
    """The hash of a whole state: of its rows in the order of table and key."""
    digest = hashlib.blake2b(digest_size=_SIZE)
    for table, key, value in sorted(rows, key=lambda row: row[:2]):
        for part in (table.encode(), key.encode(), value or b""):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.digest()
