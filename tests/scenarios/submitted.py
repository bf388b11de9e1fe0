"""What a submission of a scenario brings: its key and its input."""

from molecule.model.keys import make_key
from molecule.wire.v1 import commands_pb2 as wire
from tests.scenarios.script import milliseconds
from tests.scenarios.world import START_MS


def key_of(text: str) -> str:
    """The idempotency key; `made@10s` is one that holds the time at which it was made."""
    if not text.startswith("made@"):
        return text
    return make_key(START_MS + milliseconds(text.removeprefix("made@")), bytes(10))


def input_of(document: str) -> wire.Payload:
    """The input of a submission: one stored document, or nothing."""
    if not document:
        return wire.Payload(inline=b"[]")
    return wire.Payload(stored=wire.DocumentRef(digest=document, size_bytes=100))
