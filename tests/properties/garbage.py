"""Commands filled with anything their fields can hold, mixed with words that mean something."""

import random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from molecule.wire.v1 import commands_pb2 as wire
from tests.properties import logs

_TEXTS = (
    *("", "a", "b", "n1", "n2", "e0", "e1", "e2", "test", "resumes", "holds", "v1", "once"),
    *("COMPLETED", "IN_DOUBT", "WAITING", "PENDING", "CANCELLED", "done", "ask", "sent"),
    *("a/b", "\x00", "\U0001f40d" * 5, "x" * 5_000, "key0", "key1"),
    "00000000-0000-7000-8000-000000000000",
    "ffffffff-ffff-7fff-bfff-ffffffffffff",
)
_INT64 = (0, 1, 2, 3, -1, 5_000, 2**31, 2**53, 2**63 - 1, -(2**63), logs.START_MS)
_INT32 = (0, 1, 2, 3, -1, 100, 2**31 - 1, -(2**31))
_UINT32 = (0, 1, 2**32 - 1)


def command(chance: random.Random) -> wire.Command:
    """A command of a known kind and version, filled at random."""
    kinds = wire.Command.DESCRIPTOR.oneofs_by_name["kind"].fields
    made = wire.Command(version=1)
    field = chance.choice(kinds)
    child = getattr(made, field.name)
    child.SetInParent()
    fill(child, chance, depth=0)
    return made


def spoiled(good: wire.Command, chance: random.Random) -> wire.Command:
    """A command that made sense, with a few of its fields replaced by anything."""
    body = getattr(good, str(good.WhichOneof("kind")))
    fill(body, chance, depth=0, share=0.15)
    return good


def fill(message: Message, chance: random.Random, *, depth: int, share: float = 0.85) -> None:
    """Set this share of the fields of a message, and of the messages in it."""
    for field in message.DESCRIPTOR.fields:
        if chance.random() > share or depth > 3:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            pairs = getattr(message, field.name)
            for _ in range(chance.randrange(3)):
                pairs[chance.choice(_TEXTS)] = chance.choice(_TEXTS)
        elif field.is_repeated:
            _fill_repeated(message, field, chance, depth=depth)
        elif field.message_type is not None:
            child = getattr(message, field.name)
            child.SetInParent()
            fill(child, chance, depth=depth + 1)
        else:
            setattr(message, field.name, _value(field, chance))


def _fill_repeated(message: Message, field: Any, chance: random.Random, *, depth: int) -> None:
    items = getattr(message, field.name)
    for _ in range(chance.randrange(3)):
        if field.message_type is not None:
            fill(items.add(), chance, depth=depth + 1)
        else:
            items.append(_value(field, chance))


def _value(field: Any, chance: random.Random) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return chance.choice(_TEXTS)
        case FieldDescriptor.TYPE_BYTES:
            return chance.randbytes(chance.randrange(20))
        case FieldDescriptor.TYPE_BOOL:
            return chance.random() < 0.5
        case FieldDescriptor.TYPE_INT32:
            return chance.choice(_INT32)
        case FieldDescriptor.TYPE_UINT32:
            return chance.choice(_UINT32)
        case _:
            return chance.choice(_INT64)
