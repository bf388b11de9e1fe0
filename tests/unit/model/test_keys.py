"""Idempotency keys that hold their time."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from molecule.model.keys import made_at_ms, make_key


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=16))
def test_made_key_holds_its_time_and_is_a_uuid(at_ms: int, entropy: bytes) -> None:
    key = make_key(at_ms, entropy)
    assert made_at_ms(key) == at_ms
    assert uuid.UUID(key).version == 7
    assert uuid.UUID(key).variant == uuid.RFC_4122


def test_different_entropy_gives_different_keys() -> None:
    assert make_key(5, b"0123456789") != make_key(5, b"0123456780")


def test_other_text_holds_no_time() -> None:
    assert made_at_ms("order 17") is None
    assert made_at_ms(str(uuid.UUID(int=5, version=4))) is None
