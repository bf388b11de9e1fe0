"""Good histories of `molecule chaos`, and ways to plant one fault into them."""

from collections.abc import Callable, Sequence
from typing import Any

from molecule.chaos import records as r
from molecule.chaos.history import History
from molecule.chaos.records import Outcome, Phase, Record
from molecule.model.execution import ExecutionState

URLS = ("https://a", "https://b")
_STEP_US = 100_000


class Story:
    """Records one after another, a tenth of a second apart."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._operations = 0

    def add(self, kind: type[Record], **fields: Any) -> None:
        at_us = len(self.records) * _STEP_US
        self.records.append(kind(at_us=at_us, wall_ms=at_us // 1000, **fields))

    def submit(self, key: str, outcome: Outcome = Outcome.OK, execution: str = "") -> None:
        self._operations += 1
        number = self._operations
        self.add(r.Invoked, operation=number, client="c1", url=URLS[0], idempotency_key=key)
        told = execution or f"e-{key}" if outcome is Outcome.OK else ""
        self.add(r.Answered, operation=number, outcome=outcome, execution=told)

    def close(self, **fields: Any) -> History:
        self.add(r.Closed, records=len(self.records), **fields)
        return History(self.records)


def begin(story: Story, *, faults: Sequence[str] = ("kill",)) -> None:
    """The header and work before the first fault."""
    story.add(
        r.Header,
        seed=7,
        software="0.1",
        cluster="staging",
        nodes=("n1", "n2"),
        voters=("n1", "n2"),
        process="p",
        environment="e",
        minutes=1.0,
        faults=tuple(faults),
    )
    for number in range(6):
        story.submit(f"k{number}")
    story.add(r.PhaseBegan, phase=Phase.FAULTS)


def strike(story: Story, **fields: Any) -> None:
    """One fault, confirmed and healed, with work behind it."""
    began: dict[str, Any] = {
        "fault": 1,
        "fault_kind": "kill",
        "aim": "leader",
        "nodes": ("n1",),
        "means": "processes",
    }
    story.add(r.FaultBegan, **(began | fields))
    story.submit("k6", Outcome.UNKNOWN)
    story.add(r.FaultConfirmed, fault=1, evidence={"processes_left": 0})
    story.add(r.FaultEnded, fault=1)
    for number in range(7, 12):
        story.submit(f"k{number}")


def finish(story: Story) -> None:
    """What is read at the end, when everything is well. `k6` came through without an answer."""
    story.add(r.PhaseBegan, phase=Phase.CALM)
    story.add(r.PhaseBegan, phase=Phase.FINAL)
    for url in URLS:
        story.add(r.Probed, url=url, answered=True)
    for node in ("n1", "n2"):
        story.add(r.NodeSeen, node=node, up=True)
    for number in range(12):
        for url in URLS if number != 6 else ():
            state = ExecutionState.COMPLETED
            story.add(r.Ending, url=url, execution=f"e-k{number}", state=state, reason="done")
        story.add(r.KeyRead, idempotency_key=f"k{number}", executions=(f"e-k{number}",))
    for url in URLS:
        story.add(
            r.Books,
            url=url,
            accepted=12,
            completed=12,
            failed=0,
            cancelled=0,
            active=0,
            parked=0,
        )


def good() -> list[Record]:
    """A whole history in which everything is well, without its last line."""
    story = Story()
    begin(story)
    strike(story)
    finish(story)
    return story.records


def changed(
    change: Callable[[Record], Record | None], *, records: list[Record] | None = None
) -> History:
    """The good history with records changed, or left out where `change` gives None."""
    story = Story()
    kept = (change(record) for record in (records or good()))
    story.records = [record for record in kept if record is not None]
    return story.close()


def also(*more: tuple[type[Record], dict[str, Any]]) -> History:
    """The good history with further records behind it."""
    story = Story()
    story.records = good()
    for kind, fields in more:
        story.add(kind, **fields)
    return story.close()
