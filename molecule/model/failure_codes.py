"""Codes of errors of executions, dead letters and steps: what each means, and what to do.

A step of one's own (`raise`, a component of one's own) may give others. What stays true: each code
that the sources give is here (`tests/tidy/test_failure_codes.py` looks).
"""

from collections.abc import Mapping
from typing import Final

_RETRY: Final = "the step's `retry` repeats it; when it lasts, look at the target"
_PROCESS: Final = "mend the process, apply it, then submit anew what failed"
_DOCUMENT: Final = "mend the document at its source or the process, then submit it anew"
_BOUND: Final = "make the work smaller, or raise the bound that the message names"

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    # a class, where a step gives no code of its own
    "transient.definite": ("it certainly did not happen and may work later", _RETRY),
    "transient.unknown": (
        "it may have happened: the answer is missing",
        "look at the target; `verify` lets the process ask it by itself",
    ),
    "permanent": ("the target or the process refuses it; unchanged it fails again", _PROCESS),
    "data": ("the step cannot work with this document; the message says where", _DOCUMENT),
    "limit": ("a bound was reached; the message names it", _BOUND),
    "crash": (
        "the workers that ran it died again and again",
        "`why` of the execution tells the evidence; release it, or give it up",
    ),
    "raised": ("a step `raise` of the process ended it", "the message is the process's own"),
    # flow and engine
    "assert": ("a condition of a step `assert` does not hold for the document", _DOCUMENT),
    "invalid": ("the document does not match the schema of a step `validate`", _DOCUMENT),
    "schema": ("what a trigger received does not match its schema", "mend what is sent"),
    "answer": ("a step `respond` made no valid answer for the HTTP caller", _PROCESS),
    "output": ("a step gave an output that cannot be used as the process says", _PROCESS),
    "await_timeout": (
        "no signal came within the `timeout` of a step `await_signal`",
        "send the signal earlier, raise the time-out, or catch this code",
    ),
    "awaited": ("it would wait for more signals at once than is allowed", _BOUND),
    "dead_letters": ("more of its documents failed than it may keep as dead letters", _BOUND),
    "max_failed": (
        "more documents failed than `max_failed` of the process allows",
        "look at its dead letters: each has its own error",
    ),
    "duplicate_document": (
        "two documents of one input have the same id",
        "give each document an id of its own",
    ),
    "broken_component": (
        "a component raised what it must not, or gave something else than it promises",
        "mend the component; the message and the log of the worker tell more",
    ),
    "timeout": (
        "the step, or the execution as a whole, took longer than its time-out",
        "look where the time went (`why` of the execution), then speed it up or raise the time-out",
    ),
    "expired": ("it had not begun by the time its submitter set (`expires`)", "submit it anew"),
    "failover": (
        "its node was lost, and its process says `failover: fail`",
        "look at what it had done, then submit it anew if it shall happen",
    ),
    "given_up": ("a person gave it up", "nothing: it was decided"),
    "in_doubt": (
        "an effect may have happened, and nobody knows",
        "look at the target, then `execution resolve`",
    ),
    "in_doubt_failed": ("a person answered `fail` for its effects in doubt", "nothing"),
    # connections
    "open": ("the connection could not be opened", "check its settings and the target"),
    "not_open": ("the connection was closed while the step wanted to use it", _RETRY),
    "pool_exhausted": (
        "all connections of the pool were in use for the whole time-out",
        "raise the pool of the connection, or lower what runs at once",
    ),
    "breaker": (
        "the breaker of a connection is open: too many calls failed",
        "mend the target; executions wait and go on by themselves (`why` tells until when)",
    ),
    "rate": ("the calls that the rate of a connection allows are booked", "wait, or raise it"),
    "connection_failed": ("the HTTP target was not reached, or broke the connection", _RETRY),
    "timed_out": ("the HTTP target gave no answer within the step's time-out", _RETRY),
    "http_*": (
        "the HTTP target answered with this status",
        "the error shows the beginning of its answer; 429 and 503 are retried",
    ),
    "response_bytes_max": ("the answer is larger than the connection allows", _BOUND),
    # databases
    "statement": ("the database refuses the statement", _PROCESS),
    "integrity": ("a constraint of the database does not hold", _DOCUMENT),
    "value": ("a value does not fit its column", _DOCUMENT),
    "credential": ("the database refuses the user or the password", "mend the secret"),
    "conflict": ("the database undid the transaction because of another one", _RETRY),
    "locked": ("another transaction holds a lock for too long", _RETRY),
    "unavailable": ("the database takes no work now", _RETRY),
    "unreachable": ("the database was not reached, or the connection broke", _RETRY),
    "rows_max": ("the query gives more rows than the step allows", _BOUND),
    # files
    "not_found": ("there is no such file", "check the path and whether the disk is mounted"),
    "not_allowed": ("the node's user may not use the file", "give it the right"),
    "storage": ("the disk or the file system gave an error", "look at the disk; then retry"),
    "file_bytes_max": ("the file is larger than the step allows", _BOUND),
    "bad_record": ("a trigger could not read a record of its source", "mend the source"),
    # tables and claims of the cluster
    "table_conflict": ("the row is not as `if` of the step says: somebody changed it", _DOCUMENT),
    "table_taken": ("a unique key of the row belongs to another row", _DOCUMENT),
    "table_missing": ("the table has no such row", _DOCUMENT),
    "under_way": ("the key is claimed by an execution that has not ended", _RETRY),
    # volatile executions
    "durability": ("it would have had to wait, which a volatile execution cannot", _PROCESS),
    "lost": ("a volatile execution was lost after its caller had the answer", "submit it anew"),
    "internal": ("a fault of the software", "report it with the log of the node"),
}

_FAMILIES: Final = (("http_", "http_*"),)
_BOUND_ENDS: Final = ("_max",)


def told(code: str) -> tuple[str, str] | None:
    """What the code means and what to do; None when only a process or component knows it."""
    known = TEXTS.get(code)
    if known is not None:
        return known
    for beginning, family in _FAMILIES:
        if code.startswith(beginning) and code.removeprefix(beginning).isdigit():
            return TEXTS[family]
    if code.endswith(_BOUND_ENDS):
        return f"the bound {code} is reached", _BOUND
    return None
