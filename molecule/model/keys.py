"""Idempotency keys: how a door makes one, and the time that such a key holds.

A made key is a UUID of version 7, whose first 48 bits are the milliseconds since 1970. Clients may
use any text; only keys that hold their time can be refused as too old.
"""

import re
from typing import Final

from molecule.model.ids import IdempotencyKey

_UUID7: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME_BITS: Final = 48


def make_key(at_ms: int, entropy: bytes) -> IdempotencyKey:
    """A key made at `at_ms` from at least ten random bytes."""
    head = at_ms & ((1 << _TIME_BITS) - 1)
    noise = int.from_bytes(entropy[:10], "big")
    low = (noise & ((1 << 62) - 1)) | (0b10 << 62)
    middle = 0x7000 | (noise >> 62 & 0xFFF)
    text = f"{head:012x}{middle:04x}{low:016x}"
    return IdempotencyKey(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")


def made_at_ms(key: str) -> int | None:
    """The instant that a key of `make_key`'s form holds; None for any other text."""
    if not _UUID7.fullmatch(key):
        return None
    return int(key[:8] + key[9:13], 16)
