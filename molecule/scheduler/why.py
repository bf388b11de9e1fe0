"""Why an execution is where it is: answers, each with the decision of the log that it rests on.

Pure: the execution as surfaces show it, the lines of its timeline and, while it is pending, the
state go in. What stays true: an answer from committed decisions is the same on every voter and
after every restart; what nobody decided is told as the view at the index of the state.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from molecule.cluster.state import ClusterState
from molecule.model import instants, reasons
from molecule.model.execution import PARKED, TERMINAL
from molecule.scheduler import accounting, standing
from molecule.scheduler.accounting import Line
from molecule.scheduler.standing import Cause, Decided

_LOSSES: Final = frozenset({"lease_expired", "node_dead", "higher_incarnation", "worker_died"})
_LEAVING: Final = ("pending", "waiting", "held", "quarantined", "in_doubt", "ended")
_PARTS: Final = {
    accounting.QUEUED: "pending, before a node had it",
    accounting.RUNNING: "assigned to a node",
    accounting.WAITING: "waiting, without a slot",
    accounting.PARKED: "parked, for a person or a rule",
}
_REFUSED_TOLD: Final = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `decided`: the entry at `index` decided it; else it is the view at that index."""

    question: str
    text: str
    index: int
    at_ms: int
    decided: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)


def explain(
    view: Mapping[str, Any],
    lines: Sequence[Line],
    state: ClusterState,
    *,
    blockers: Mapping[str, Decided],
    leader: str = "",
) -> dict[str, Any]:
    """All answers for an execution, as plain JSON.

    `blockers`: the decision by which others hold its key, by execution. `leader`: as the voter
    that is asked knows it; empty: it knows of none.
    """
    answers: list[Answer] = [
        *_leaderless(view, state, leader),
        *_accepted(lines),
        *_pending(view, lines, state, blockers),
        *_here(view, lines, state),
        *_moves(lines, state),
        *_repeats(lines),
        *_waits(view, lines, state),
        *_parked(view, lines),
        *_ended(view, lines),
        *_slow(lines, state),
    ]
    return {
        "execution": view["id"],
        "state": view["state"],
        "index": state.index,
        "incomplete": _incomplete(lines),
        "answers": [asdict(answer) for answer in answers],
    }


def _incomplete(lines: Sequence[Line]) -> str:
    """What is missing of the timeline; empty when it is whole."""
    if not lines or lines[0]["kind"] != "accepted":
        return "the beginning of the timeline was purged, so earlier decisions cannot be told"
    if any(line["kind"] == "truncated" for line in lines):
        return "the timeline reached its bound, so later decisions were not kept"
    return ""


def _of(line: Line, question: str, text: str, **facts: Any) -> Answer:
    return Answer(question, text, line["index"], line["at_ms"], facts=facts)


def _accepted(lines: Sequence[Line]) -> Iterator[Answer]:
    if not lines or lines[0]["kind"] != "accepted":
        return
    first = lines[0]
    actor, hint = first["facts"].get("actor", ""), first["facts"].get("hint", "")
    text = f"accepted from {actor}" if actor else "accepted"
    if hint and hint not in ("valid", "no_hint"):
        text += f"; not started at once: {reasons.told(hint)}"
    yield _of(first, "accepted", text, actor=actor, hint=hint)


def _pending(
    view: Mapping[str, Any],
    lines: Sequence[Line],
    state: ClusterState,
    blockers: Mapping[str, Decided],
) -> Iterator[Answer]:
    if view["state"] != "PENDING":
        return
    since = accounting.last(lines, "pending", "accepted")
    if since is not None and since["kind"] == "pending":
        reason = since["facts"].get("reason", "")
        yield _of(since, "pending", f"pending again: {reasons.told(reason)}", reason=reason)
    for cause in standing.causes(state, view["id"], blockers=blockers):
        yield _stands(state, "pending", cause)


def _stands(state: ClusterState, question: str, cause: Cause) -> Answer:
    """A cause as an answer: from a decision, or as the view of the state."""
    if cause.index:
        return Answer(question, cause.text, cause.index, cause.at_ms, facts=cause.facts)
    return Answer(
        question, cause.text, state.index, state.time_ms, decided=False, facts=cause.facts
    )


def _leaderless(view: Mapping[str, Any], state: ClusterState, leader: str) -> Iterator[Answer]:
    if leader or view["state"] in TERMINAL:
        return
    text = (
        "this voter knows of no leader: without a majority nothing is accepted, started, moved or "
        "ended, and all that is told here is as of this entry or older"
    )
    facts = {"reason": "no_leader", "epoch": state.epoch}
    yield Answer("no_leader", text, state.index, state.time_ms, decided=False, facts=facts)


def _here(view: Mapping[str, Any], lines: Sequence[Line], state: ClusterState) -> Iterator[Answer]:
    line = accounting.last(lines, "assigned")
    if line is None:
        return
    facts = line["facts"]
    others = [
        f"{other['node']}: {reasons.told(other['reason'])}" for other in facts.get("not_chosen", ())
    ]
    verb = "is on" if view["state"] == "ASSIGNED" else "was last on"
    reason = facts.get("reason", "")
    text = f"{verb} {line['node']} (attempt {line['attempt']}): {reasons.told(reason)}"
    if others:
        text += f". Not chosen: {'; '.join(others)}"
    yield _of(
        line,
        "here",
        text,
        node=line["node"],
        token=line["token"],
        attempt=line["attempt"],
        reason=reason,
        not_chosen=list(facts.get("not_chosen", ())),
    )
    node = state.nodes.get(line["node"])
    if view["state"] == "ASSIGNED" and node is not None and node.is_draining:
        drain = standing.drain_of(node)
        text = f"{drain.text}: it goes on there to a place where it can stop, and then elsewhere"
        yield Answer("here", text, drain.index, drain.at_ms, facts=drain.facts)


def _moves(lines: Sequence[Line], state: ClusterState) -> Iterator[Answer]:
    """Each time it was taken from a holder, and on which evidence."""
    died: Line | None = None
    told: set[int] = set()
    by_place = {(loss.index, loss.node): loss for loss in state.losses.values()}
    for line in lines:
        if line["kind"] == "worker_died":
            died = line
        reason = line["facts"].get("reason", "")
        if line["kind"] not in _LEAVING or not reason:
            continue
        if reason not in _LOSSES and reason not in ("drained", "handed_back"):
            continue
        # What was taken is told again with where it went, and a doubt ends for the same reason.
        if line["token"] in told:
            continue
        told.add(line["token"])
        text = f"left {line['node']} (token {line['token']}): {reasons.told(reason)}"
        evidence: dict[str, Any] = {}
        loss = by_place.get((line["index"], line["node"]))
        if reason == "worker_died" and died is not None and died["index"] == line["index"]:
            text += f": {died['facts'].get('evidence') or died['facts'].get('cause')}"
            evidence["death"] = dict(died["facts"])
        elif reason in _LOSSES and loss is not None:
            known_by = loss.evidence or (f"{loss.silent_for_ms} ms" if loss.silent_for_ms else "")
            text += f" ({known_by})" if known_by else ""
            text += f"; post-mortem {loss.id}"
            evidence = {
                "postmortem": loss.id,
                "evidence": loss.evidence,
                "silent_for_ms": loss.silent_for_ms,
            }
        yield _of(
            line,
            "moved",
            text,
            node=line["node"],
            token=line["token"],
            attempt=line["attempt"],
            reason=reason,
            **evidence,
        )


def _repeats(lines: Sequence[Line]) -> Iterator[Answer]:
    """What later attempts went through again, and which late words were refused."""
    sequence, resumed = 0, None
    for line in lines:
        if line["kind"] == "checkpoint":
            sequence = line["facts"]["sequence"]
        elif line["kind"] == "assigned":
            resumed = line if line["attempt"] > 1 else None
        elif line["kind"] == "step" and resumed is not None:
            step = line["facts"]["step"]
            text = (
                f"attempt {resumed['attempt']} went on behind checkpoint {sequence} with step "
                f"{step}, which the attempt before may have begun"
            )
            facts = {"attempt": resumed["attempt"], "step": step, "sequence": sequence}
            yield _of(resumed, "repeated", text, **facts)
            resumed = None
    refused = [line for line in lines if line["kind"] == "refused"]
    for line in refused[:_REFUSED_TOLD]:
        word, token = line["facts"].get("word", ""), line["facts"].get("said_token", 0)
        text = f"late word {word} under token {token} was refused: {reasons.told('stale_token')}"
        yield _of(line, "refused", text, word=word, token=token)


def _waits(view: Mapping[str, Any], lines: Sequence[Line], state: ClusterState) -> Iterator[Answer]:
    line = accounting.last(lines, "waiting")
    if view["state"] != "WAITING" or line is None:
        return
    facts = line["facts"]
    reason, until_ms = facts.get("reason", ""), facts.get("until_ms", 0)
    text = f"waits: {reasons.told(reason)}"
    if facts.get("signals"):
        text += f" ({', '.join(facts['signals'])})"
    if facts.get("connection"):
        text += f" (connection {facts['connection']})"
    if until_ms:
        text += f", until {instants.shown(until_ms)} at the latest"
    doubts = view.get("doubts", ())
    if doubts:
        text += (
            "; a request of the last holder may still be under way, so nobody may ask or answer "
            "before its deadline and the lease are over"
        )
    effects = [doubt["effect_key"] for doubt in doubts]
    yield _of(line, "waiting", text, reason=reason, until_ms=until_ms, effects=effects)
    for cause in standing.gate(state, view["id"]):
        yield _stands(state, "waiting", cause)


def _parked(view: Mapping[str, Any], lines: Sequence[Line]) -> Iterator[Answer]:
    if view["state"] not in PARKED:
        return
    line = accounting.last(lines, view["state"].lower())
    if line is not None:
        facts = dict(line["facts"])
        yield _of(line, "parked", _parked_text(view, facts), **facts)
    intents = {line["facts"]["effect"]: line for line in lines if line["kind"] == "intent"}
    for doubt in view.get("doubts", ()):
        begun = intents.get(doubt["effect_key"])
        text = (
            f"in doubt: step {doubt['step']} may have sent document {doubt['document'] or '-'} to "
            f"{doubt['target'] or 'its target'} after the intent was committed"
        )
        if begun is not None:
            yield _of(begun, "parked", text, **doubt)


def _parked_text(view: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    match view["state"]:
        case "QUARANTINED":
            return (
                f"quarantined: {facts.get('crashes')} workers of its own died while they ran it, "
                f"the last in step {facts.get('step')} on {facts.get('node')} "
                f"({facts.get('evidence') or facts.get('cause')})"
            )
        case "HELD":
            return (
                f"held until {facts.get('node')} is back, because {reasons.told(facts['reason'])}"
            )
        case "IN_DOUBT":
            count = facts.get("effects")
            told = "effect waits" if count == 1 else "effects wait"
            return f"in doubt: {count} {told} for an answer by a person"
    return reasons.told(facts.get("reason", ""))


def _ended(view: Mapping[str, Any], lines: Sequence[Line]) -> Iterator[Answer]:
    if view["state"] not in TERMINAL:
        return
    line = accounting.last(lines, "ended")
    if line is None:
        return
    facts = line["facts"]
    text = f"{view['state'].lower()}"
    said = accounting.last(lines, "cancel", "given_up", "replaced")
    if said is not None and said["index"] == line["index"]:
        by = said["facts"].get("actor") or said["facts"].get("by")
        text += f" by {by}" if by else ""
    if facts.get("reason"):
        text += f": {reasons.told(facts['reason'])}"
    if facts.get("step"):
        text += f", in step {facts['step']}"
    if facts.get("error") or facts.get("error_code"):
        text += f" ({' '.join(filter(None, (facts.get('error_code'), facts.get('error'))))})"
    yield _of(line, "ended", text, **{name: value for name, value in facts.items() if value})


def _slow(lines: Sequence[Line], state: ClusterState) -> Iterator[Answer]:
    """Where the time went; of one that has ended, the answer stays the same for ever."""
    end = accounting.last(lines, "ended")
    told = accounting.account(lines, until_ms=end["at_ms"] if end is not None else state.time_ms)
    part = told.largest()
    if not part:
        return
    spent, line = told.longest[part]
    text = f"{told.parts[part]} of {told.total_ms} ms it was {_PARTS[part]}"
    if part == accounting.RUNNING and told.slowest is not None:
        slowest = told.slowest["facts"]
        text += f"; its slowest step is {slowest['step']} with {slowest['duration_us'] // 1000} ms"
    elif spent < told.parts[part]:
        text += f", {spent} ms of them at a stretch"
    slowest_step = told.slowest["facts"]["step"] if told.slowest is not None else ""
    yield Answer(
        "slow",
        text,
        line["index"] if end is not None else state.index,
        line["at_ms"],
        decided=end is not None,
        facts={
            "part": part,
            "since_index": line["index"],
            **{f"{name}_ms": ms for name, ms in sorted(told.parts.items())},
            "total_ms": told.total_ms,
            "steps_ms": told.steps_ms,
            "retries": told.retries,
            "slowest_step": slowest_step,
        },
    )
