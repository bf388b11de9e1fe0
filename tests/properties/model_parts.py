"""What the slow model remembers: effects, signals, executions, nodes."""

from dataclasses import dataclass, field

TERMINAL = ("COMPLETED", "FAILED", "CANCELLED")
PARKED = ("IN_DOUBT", "QUARANTINED", "HELD")
BUDGET = 3
HOLD_FOR = 8_000

FAILOVER = {
    "resumes": "resume",
    "restarts": "restart",
    "holds": "hold",
    "fails": "fail",
    **dict.fromkeys(("passes", "skips", "replaces", "keeps"), "resume"),
}
LIMIT = {**dict.fromkeys(FAILOVER, 1), "restarts": 2}
OVERLAP = {"skips": "skip", "replaces": "replace"}
PASSES = "passes"
"""What is parked of it lets others of its key go on."""
KEEPS = "keeps"
"""Its dead letters hold their key."""
TIMEOUT = {"resumes": 30_000, "holds": 20_000}
EXPIRES = {"resumes": 15_000}


@dataclass
class Effect:
    """One effect that began."""

    once: bool
    token: int
    deadline: int
    step: str
    known: str = ""

    @property
    def open(self) -> bool:
        return self.known in ("", "ask")


@dataclass
class Told:
    """A signal, by its id."""

    name: str
    body: str
    taken: bool = False


@dataclass
class Run:
    """One accepted execution, terminal ones too."""

    name: str
    key: str
    body: str
    process: str
    lock: str
    priority: int
    state: str = "PENDING"
    node: str = ""
    token: int = 0
    token_ended: int = 0
    only_ends: bool = False
    attempts: int = 0
    sequence: int = 0
    crashes: int = 0
    wait_number: int = 0
    wait_until: int = 0
    held_for: str = ""
    held_until: int = 0
    place: int = 0
    letters: int = 0
    effects: dict[str, Effect] = field(default_factory=dict)
    deadline: int = 0
    expires: int = 0
    parked_at: int = 0
    awaited: tuple[str, ...] = ()
    told: dict[str, Told] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)

    @property
    def live(self) -> bool:
        return self.state not in TERMINAL

    @property
    def doubts(self) -> list[Effect]:
        return [effect for effect in self.effects.values() if effect.once and effect.open]


@dataclass
class Member:
    """One node."""

    life: str
    incarnation: int
    slots: int
    up: bool = True
    drains: str | None = None
    """None: takes work. Else the life that is about to end, or empty until it is undrained."""
    ended_lives: list[str] = field(default_factory=list)
