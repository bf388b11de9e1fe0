"""Failures as people read them: what happened, why, what to do next; and the exit codes.

What must stay true: 3 is said whenever something may have happened that we do not know of.
"""

from enum import IntEnum
from typing import Any, Final

from molecule.model.errors import MoleculeError


class ExitCode(IntEnum):
    """What a command ends with."""

    DONE = 0
    FAILED = 1
    WRONG_USAGE = 2
    OUTCOME_UNKNOWN = 3
    INTERRUPTED = 130


class Failure(Exception):
    """Ends a command. Each part is one sentence or several lines; `then` says what to do."""

    def __init__(
        self, what: str, *, why: str = "", then: str = "", code: ExitCode = ExitCode.FAILED
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.then = then
        self.code = code

    def text(self) -> str:
        """For stderr."""
        parts = [f"error: {self.what}"]
        if self.why:
            parts.append(_part("why", self.why))
        if self.then:
            parts.append(_part("next", self.then))
        return "\n".join(parts)


_ADVICE: Final = {
    "unauthenticated": "check the token file that {context} names",
    "forbidden": "ask for this right, or use a token that has it",
    "not_found": "look up what there is with: {list}",
    "key_conflict": "use another --key for another input, or send the same input",
    "too_old": "look for the first execution in its history before you submit with a new --key",
    "wrong_state": "look at it with: {show}",
    "invalid_process": "mend the files at these places and apply again",
    "overloaded": "wait and repeat the command",
    "draining": "repeat the command; another node answers",
    "storage_full": "free disk on the voters, then repeat the command",
    "no_leader": "check with: molecule cluster status; nothing happened, so repeat the command",
    "internal": "look into the log of the gateway for request {request}",
}
"""Only where something better can be said than what follows from the problem's own flags."""

_API: Final = "/api/v1/"
_NOUNS: Final = {
    "executions": "execution",
    "processes": "process",
    "nodes": "node",
    "cluster": "node",
    "connections": "connection",
    "deadletters": "deadletter",
}
"""Of the command line, by the first part of a path."""

_JOINING: Final = dict.fromkeys(
    ("unauthenticated", "forbidden"), "make one for this node with: molecule cluster token"
)
"""What is wrong with the token that lets a node in, not with the one of the context."""


def from_problem(action: str, problem: dict[str, Any], *, context: str, path: str = "") -> Failure:
    """The failure of an action at a path that a node answered with this problem document."""
    findings = problem.get("findings") or ()
    why = "\n".join(_finding(finding) for finding in findings) or str(problem.get("detail", ""))
    is_definite = problem.get("definite", False)
    key = problem.get("idempotency_key")
    told = _ADVICE | _JOINING if path == f"{_API}cluster/join" else _ADVICE
    advice = told.get(str(problem.get("code")), "")
    if not is_definite and key:
        advice = f"repeat with --key {key}: if it was accepted you get the same execution"
    elif not advice and problem.get("limit"):
        advice = f"stay within {problem['limit']}, or raise it in the configuration of the nodes"
    elif not advice and not is_definite:
        advice = "look at what is there before you repeat the command"
    elif not advice and problem.get("retryable"):
        advice = "wait and repeat the command; nothing happened"
    return Failure(
        f"{action}: {problem.get('title', 'refused')}",
        why=why,
        then=advice.format(context=context, request=problem.get("request", "?"), **_looking(path)),
        code=ExitCode.FAILED if is_definite else ExitCode.OUTCOME_UNKNOWN,
    )


def from_error(error: MoleculeError) -> Failure:
    """An error of the tree that arose in this process."""
    code = ExitCode.FAILED if error.definite else ExitCode.OUTCOME_UNKNOWN
    return Failure(error.code.replace("_", " "), why=error.message, code=code)


def _looking(path: str) -> dict[str, str]:
    """The commands that list what a path is about, and show the one that it names."""
    first, _, rest = path.removeprefix(_API).partition("/")
    noun = _NOUNS.get(first, "execution")
    if rest.startswith("postmortems"):
        return {"list": "molecule cluster postmortem", "show": "molecule cluster postmortem"}
    if first == "executions" and not rest:  # A submission: what is not there is the process.
        noun = "process"
    name = rest.split("/")[-1 if first == "cluster" else 0]
    return {"list": f"molecule {noun} list", "show": f"molecule {noun} show {name}".rstrip()}


def _part(name: str, text: str) -> str:
    first, *others = text.splitlines()
    return "\n".join([f"  {name + ':':6}{first}", *(f"        {line}" for line in others)])


def _finding(finding: dict[str, Any]) -> str:
    place = f"{finding.get('file')}:{finding.get('line')}:{finding.get('column')}"
    where = f" {finding['where']}:" if finding.get("where") else ""
    hint = f" ({finding['hint']})" if finding.get("hint") else ""
    return f"{place}{where} {finding.get('what')}{hint}"
