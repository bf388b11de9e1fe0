"""Whatever a document holds, its bytes are those of its marked form, and give it back."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from molecule.model import payload

_TEXTS = st.sampled_from(["$bytes", "$map", "a", '"$', "\\", "ä"]) | st.text(max_size=3)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | _TEXTS | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(_VALUES)
def test_a_value_comes_back_as_it_was(value: object) -> None:
    encoded = payload.encode_value(value)
    # What the short way must not differ from.
    marked = payload._marked(value)
    assert encoded == orjson.dumps(marked, option=orjson.OPT_SORT_KEYS)
    assert payload.decode_value(encoded) == value


def test_an_escaped_mark_is_a_mark() -> None:
    assert payload.decode_value(b'{"\\u0024bytes":"aGk="}') == b"hi"
