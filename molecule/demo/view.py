"""The live view of the demo: nodes, leader, flow, failovers. Draws what it is given."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from molecule.demo.faults import ClusterView


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture: the newest look at the cluster and what was said so far."""

    work: int
    seconds: float
    cluster: ClusterView | None
    said: Sequence[str] = field(default_factory=tuple)


def picture(frame: Frame) -> Group:
    """The frame as something that rich can draw."""
    table = Table(box=None, pad_edge=False)
    for column in ("node", "role", "state"):
        table.add_column(column)
    table.add_column("in flight", justify="right")
    view = frame.cluster
    for node in view.nodes if view else ():
        role = "leader" if view and node.id == view.leader else "follower"
        state = Text("ready", "green") if node.is_ready else Text("away", "bold red")
        table.add_row(node.id, role, state, str(node.in_flight))
    ended = view.ended if view else 0
    rate = ended / frame.seconds if frame.seconds else 0
    told = Text(
        f"{ended:,} of {frame.work:,} executions, {rate:,.0f} per second, {frame.seconds:.0f} s"
    )
    bar = ProgressBar(total=frame.work, completed=min(ended, frame.work), width=60)
    return Group(table, Text(), bar, told, *(Text(line, "dim") for line in frame.said[-8:]))


class View:
    """Shows frames: redrawn in place on a terminal, else only the sentences, each once.

    A terminal that was closed is no fault: what runs must still be ended.
    """

    def __init__(self, *, plain: bool, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._is_live = not plain and self._console.is_terminal
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._said: list[str] = []
        self._frame = Frame(0, 0.0, None)

    def __enter__(self) -> Self:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._is_live:
            with contextlib.suppress(OSError):
                self._live.stop()

    def say(self, sentence: str) -> None:
        """Add a sentence to the story."""
        self._said.append(sentence)
        if self._is_live:
            self._draw()
        else:
            with contextlib.suppress(OSError):
                self._console.print(sentence, highlight=False, soft_wrap=True)

    def show(self, *, work: int, seconds: float, cluster: ClusterView | None) -> None:
        """Replace the picture; a look that failed keeps the former one."""
        known = cluster or self._frame.cluster
        self._frame = Frame(work, seconds, known)
        if self._is_live:
            self._draw()

    def _draw(self) -> None:
        frame = self._frame
        whole = Frame(frame.work, frame.seconds, frame.cluster, tuple(self._said))
        with contextlib.suppress(OSError):
            self._live.update(picture(whole), refresh=True)
