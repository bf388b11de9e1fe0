"""The one tree of errors. REST, gRPC and the CLI derive their answers from it.

    MoleculeError                code · http · retryable · definite; itself `internal`, not definite
      InvalidInput               the asker mends the request
        InvalidProcess           carries every finding at once
        InvalidConfig
        UnknownComponent
        LimitExceeded            413, names the limit
      Denied                     the asker lacks a right
        Unauthenticated · Forbidden
      NotFound                   UnknownMember · Purged (410: it was there)
      Conflict
        AlreadyExists · KeyConflict · Overlap · StaleEpoch · StaleToken · WrongState
        QuorumAtRisk · LastVoter · MemberExists · MemberRemoved
      Unavailable                wait and repeat
        NoLeader · Overloaded · Draining · StorageFull       (definite: nothing happened)
        ChangeInProgress · LearnerBehind · LeadershipMoving  (definite)
        OutcomeUnknown · DeadlineExceeded                    (not definite)
      DamagedData                the operator: a file is corrupt, foreign, newer or locked
        DiskFailed               the disk answered with an error; a start may show that all is well
      StepError                  the process designer; its class is an `ErrorClass`

`definite` tells whether we know that nothing happened; the root does not, for it is what nobody
foresaw. A broken invariant is not in the tree: `invariant()` stops the process.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Final, NoReturn

from molecule.model.effect import ErrorClass


class MoleculeError(Exception):
    """Root. `code` is stable and documented; the message is for people, `facts` for programs."""

    code: ClassVar[str] = "internal"
    http: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    definite: ClassVar[bool] = False

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts: Mapping[str, object] = facts


class InvalidInput(MoleculeError):
    """The request itself is wrong; repeating it unchanged gives the same answer."""

    code = "invalid_input"
    http = 400
    definite = True


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault in a user's file: where, what is wrong, what to do. Lines and columns from 1."""

    file: str
    line: int
    column: int
    where: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        text = f"{place} {self.where}: {self.what}" if self.where else f"{place} {self.what}"
        return f"{text} ({self.hint})" if self.hint else text


class InvalidProcess(InvalidInput):
    """A user's files have faults; all of them are in `findings`, in order of place."""

    code = "invalid_process"
    http = 422

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(
            "\n".join(str(finding) for finding in findings),
            findings=[asdict(finding) for finding in findings],
        )
        self.findings = findings


class InvalidConfig(InvalidInput):
    """The configuration of a node or a component is wrong."""

    code = "invalid_config"


class UnknownComponent(InvalidInput):
    """A step, connector or trigger type that nobody registered."""

    code = "unknown_component"


class LimitExceeded(InvalidInput):
    """A request is larger than a named limit of `config.Limits`."""

    code = "limit_exceeded"
    http = 413

    def __init__(self, *, limit: str, allowed: int, asked: int) -> None:
        super().__init__(
            f"{asked} is over the limit {limit} of {allowed}", limit=limit, allowed=allowed
        )


class Denied(MoleculeError):
    """The actor may not do this."""

    code = "denied"
    http = 403
    definite = True


class Unauthenticated(Denied):
    """Nobody we know: no token, or a wrong one."""

    code = "unauthenticated"
    http = 401


class Forbidden(Denied):
    """Known, but without the right that the message names."""

    code = "forbidden"


class NotFound(MoleculeError):
    """There is no such thing, or no longer."""

    code = "not_found"
    http = 404
    definite = True


class UnknownMember(NotFound):
    """No voter or learner of the cluster has this name."""

    code = "unknown_member"


class Purged(NotFound):
    """It was there; its time of retention is over."""

    code = "purged"
    http = 410


class Conflict(MoleculeError):
    """The state of the cluster does not allow this now."""

    code = "conflict"
    http = 409
    definite = True


class AlreadyExists(Conflict):
    """Something else has this name."""

    code = "already_exists"


class KeyConflict(Conflict):
    """The idempotency key was used before with another body."""

    code = "key_conflict"


class Overlap(Conflict):
    """Not accepted: with `overlap: skip` an earlier execution is not over; the message names it."""

    code = "overlap"


class TooOld(Conflict):
    """An idempotency key older than the dedup window; never accepted as new."""

    code = "too_old"


class StaleEpoch(Conflict):
    """A word from a leader that is leader no more."""

    code = "stale_epoch"


class StaleToken(Conflict):
    """The assignment was given to someone else; stop work."""

    code = "stale_token"


class WrongState(Conflict):
    """The execution is in a state in which this cannot be done; the message names it."""

    code = "wrong_state"


class QuorumAtRisk(Conflict):
    """The voters that answer would be no majority of the new configuration."""

    code = "quorum_at_risk"


class LastVoter(Conflict):
    """The only voter cannot be removed."""

    code = "last_voter"


class MemberExists(Conflict):
    """A member has this name with another data folder, or this address."""

    code = "member_exists"


class MemberRemoved(Conflict):
    """It was removed with the data folder that it has; only with an empty one it may return."""

    code = "member_removed"


class Unavailable(MoleculeError):
    """Not now; the same request may succeed later."""

    code = "unavailable"
    http = 503
    retryable = True
    definite = True


class NoLeader(Unavailable):
    """No node leads at the moment; nothing was proposed."""

    code = "no_leader"


class Overloaded(Unavailable):
    """A bound on work was reached; nothing was accepted."""

    code = "overloaded"
    http = 429


class Draining(Unavailable):
    """The node is being emptied; ask another."""

    code = "draining"


class StorageFull(Unavailable):
    """The reserve of a voter's disk is reached; nothing was accepted."""

    code = "storage_full"
    http = 507


class ChangeInProgress(Unavailable):
    """The change of members before this one is not committed yet; nothing was proposed."""

    code = "membership_change_in_progress"


class LearnerBehind(Unavailable):
    """A learner has not everything yet, or does not answer in time; nothing was proposed."""

    code = "learner_behind"


class LeadershipMoving(Unavailable):
    """The leader cannot remove itself: it hands over first. Ask the next leader."""

    code = "leadership_moving"


class OutcomeUnknown(Unavailable):
    """It may or may not have happened. Ask again with the same key and get the one answer."""

    code = "outcome_unknown"
    http = 504
    definite = False


class DeadlineExceeded(Unavailable):
    """The caller's time ran out first; the execution goes on."""

    code = "deadline_exceeded"
    http = 504
    definite = False


class DamagedData(MoleculeError):
    """A data folder is corrupt, foreign, newer, locked or read-only. It is never started empty."""

    code = "damaged_data"
    definite = True


class DiskFailed(DamagedData):
    """A disk answered with an error. What it holds may be whole: the next start looks at it."""


class StepError(MoleculeError):
    """A step failed. `error_class` decides about retries; `error_code` is the component's own."""

    code = "step_error"
    definite = True

    def __init__(
        self,
        message: str,
        *,
        error_class: ErrorClass,
        error_code: str = "",
        **facts: object,
    ) -> None:
        super().__init__(message, **facts)
        self.error_class = error_class
        self.error_code = error_code or error_class.value


ADVICE: Final[Mapping[str, str]] = {
    "internal": "a fault of the software: look whether it happened, report it with the node's log",
    "invalid_input": "mend the request as the message says; unchanged it fails again",
    "denied": "ask for the right that the message names, or use another token",
    "not_found": "check the name; what was purged or never accepted is not found either",
    "conflict": "look at what stands against it, then decide anew; unchanged it fails again",
    "too_old": "make a new key if it shall happen, after checking that it has not happened",
    "unavailable": "wait and repeat the same request with the same key; nothing happened",
    "outcome_unknown": "repeat it with the same key: the one answer comes back",
    "deadline_exceeded": "ask for the execution again, or repeat with the same key",
    "damaged_data": "mend what the message names on that node's disk, or replace the node",
    "step_error": "look at the step and its error in the timeline, mend the process or the target",
}
"""What to do, by the code of the nearest kind above."""


class BrokenInvariant(BaseException):
    """What cannot be, is. Not an Exception: no boundary may swallow it; the process stops."""


def invariant(holds: object, message: str, **facts: object) -> None:
    """Stop the process when `holds` is false. Unlike `assert` it stays under `python -O`."""
    if not holds:
        _broken(message, facts)


def _broken(message: str, facts: Mapping[str, object]) -> NoReturn:
    told = ", ".join(f"{name}={value!r}" for name, value in facts.items())
    raise BrokenInvariant(f"{message} ({told})" if told else message)
