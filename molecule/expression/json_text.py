"""Document values as the JSON text that engines read.

Loss is an error: a whole number beyond 2^53 cannot be held by JSONata and is refused, not rounded.
Bytes become base64 text.
"""

import base64
from typing import Any

import orjson

from molecule.expression.engine import Fault


def to_text(value: Any) -> str:
    """Raises `Fault` (code `input`) for what JSONata cannot hold."""
    try:
        return orjson.dumps(value, default=_other, option=orjson.OPT_STRICT_INTEGER).decode()
    except orjson.JSONEncodeError as error:
        what = str(error)
        if "53-bit" in what:
            what = "a whole number beyond 2^53 loses digits: keep it as text"
        raise Fault(what, code="input", position=None, limit=False) from None


def _other(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"a document cannot hold {type(value).__name__}")
