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
    "not_found": "look up what there is with the list command of the same noun",
    "key_conflict": "use another --key for another input, or send the same input",
    "too_old": "look for the first execution in its history before you submit with a new --key",
    "wrong_state": "look at it with: molecule execution show",
    "invalid_process": "mend the files at these places and apply again",
    "overloaded": "wait and repeat the command",
    "draining": "repeat the command; another node answers",
    "storage_full": "free disk on the voters, then repeat the command",
    "no_leader": "check with: molecule cluster status; nothing happened, so repeat the command",
    "internal": "look into the log of the gateway for request {request}",
}
"""Only where something better can be said than what follows from the problem's own flags."""


def from_problem(action: str, problem: dict[str, Any], *, context: str) -> Failure:
    """The failure of an action that a node answered with this problem document."""
    findings = problem.get("findings") or ()
    why = "\n".join(_finding(finding) for finding in findings) or str(problem.get("detail", ""))
    is_definite = problem.get("definite", False)
    key = problem.get("idempotency_key")
    advice = _ADVICE.get(str(problem.get("code")), "")
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
        then=advice.format(context=context, request=problem.get("request", "?")),
        code=ExitCode.FAILED if is_definite else ExitCode.OUTCOME_UNKNOWN,
    )


def from_error(error: MoleculeError) -> Failure:
    """An error of the tree that arose in this process."""
    code = ExitCode.FAILED if error.definite else ExitCode.OUTCOME_UNKNOWN
    return Failure(error.code.replace("_", " "), why=error.message, code=code)


def _part(name: str, text: str) -> str:
    first, *others = text.splitlines()
    return "\n".join([f"  {name + ':':6}{first}", *(f"        {line}" for line in others)])


def _finding(finding: dict[str, Any]) -> str:
    place = f"{finding.get('file')}:{finding.get('line')}:{finding.get('column')}"
    where = f" {finding['where']}:" if finding.get("where") else ""
    hint = f" ({finding['hint']})" if finding.get("hint") else ""
    return f"{place}{where} {finding.get('what')}{hint}"
