"""Words of the language that this release knows of and does not run yet.

They are refused with a message of their own, so that nobody takes them for a slip of the pen, and
nothing is ever silently ignored.
"""

from typing import Final

_LATER: Final = "this release does not run it yet; remove it"

STEP_FIELDS: Final = dict.fromkeys(("undo", "checkpoint", "when_empty"), _LATER)
OPTIONS: Final = dict.fromkeys(
    (
        "deadline",
        "retain",
        "spill",
    ),
    _LATER,
)
ENVIRONMENT_FIELDS: Final = dict.fromkeys(("routes", "require"), _LATER)

STEPS: Final = frozenset(
    {
        "repeat", "collect", "sort",
        "aggregate", "join", "sql.transform", "sql.insert", "sql.delete", "sql.call", "script",
        "dispatch", "notify", "queue.put", "queue.get", "diff",
        "approval", "guard", "http.download", "http.paginate",
        "file.list", "file.move", "file.delete",
    }
)  # fmt: skip
TRIGGERS: Final = frozenset(
    {
        "sftp.watch", "object.watch", "sql.watch", "kafka",
        "amqp", "mqtt", "nats", "redis", "mail", "queue", "process",
    }
)  # fmt: skip
