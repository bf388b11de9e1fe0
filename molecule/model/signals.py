"""What a signal to an execution may be called; one rule for the language, REST and the CLI."""

import re
from typing import Final

NAME_LENGTH_MAX: Final = 128
CORRELATION_LENGTH_MAX: Final = 256
_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{NAME_LENGTH_MAX - 1}}}")


def is_signal_name(text: str) -> bool:
    """True for letters, digits, `-`, `_` and `.`, the first one a letter or digit."""
    return _NAME.fullmatch(text) is not None
