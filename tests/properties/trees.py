"""Random small processes: every block, effects of every class, names that try to confuse."""

from dataclasses import dataclass, field
from typing import Any

import yaml
from hypothesis import strategies as st

Step = dict[str, Any]
LEAVES = ("map", "put", "tell", "read", "set", "filter", "return", "wait", "await")
BLOCKS = ("decision", "foreach", "try", "route", "branch", "parallel", "call")
PATHS = ("then", "else", "steps", "body", "default")


def leaf(kind: str, id_: str) -> Step:
    match kind:
        case "map":
            return {"id": id_, "type": "map", "to": {"n": "n + 10", "found": "found"}}
        case "put":
            return {"id": id_, "type": "target.put", "body": "[n, found.seen]"}
        case "tell":
            return {"id": id_, "type": "target.tell", "body": "[n, found.seen]"}
        case "read":
            return {"id": id_, "type": "target.read", "output": {"into": "found"}}
        case "return":
            return {"id": id_, "type": "return", "when": "n % 10 = 2"}
        case "wait":
            return {"id": id_, "type": "wait", "for": "1h", "when": "n % 2 = 0"}
        case "await":
            late = {"timeout": "2h", "on_timeout": "continue"}
            return {"id": id_, "type": "await", "signal": "go", **late, "output": "keep"}
        case "set":
            return {"id": id_, "type": "set", "set": {"p": "n"}}
        case _:
            return {"id": id_, "type": "filter", "if": "n % 10 != 3"}


@st.composite
def trees(draw: st.DrawFn, depth: int = 2) -> list[Step]:
    """A list of steps without ids."""
    kinds = [*LEAVES, *(BLOCKS if depth else ())]
    drawn = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4 if depth else 3))
    return [draw(block(kind, depth - 1)) if kind in BLOCKS else {"leaf": kind} for kind in drawn]


@st.composite
def block(draw: st.DrawFn, kind: str, depth: int) -> Step:
    """A step with paths."""
    inner = trees(depth=depth)
    match kind:
        case "decision":
            condition = f"n % 10 < {draw(st.integers(0, 4))}"
            return {"type": kind, "if": condition, "then": draw(inner), "else": draw(inner)}
        case "route":
            paths = {
                "inline": {"is": ["0"], "steps": draw(inner)},
                "request": {"if": "n % 3 = 1", "steps": draw(inner)},
            }
            return {"type": kind, "by": "n % 3", "paths": paths, "default": draw(inner)}
        case "branch" | "parallel":
            names = ["inline", "request", "digest"][: draw(st.integers(1, 3))]
            take = draw(st.sampled_from([None, *names]))
            paths = {name: draw(inner) for name in names}
            return {"type": kind, "paths": paths, **({"take": take} if take else {})}
        case "call":
            return {"type": kind, "called": draw(inner)}
        case "foreach":
            size, at_once = draw(st.integers(1, 2)), draw(st.integers(1, 3))
            return {"type": kind, "size": size, "at_once": at_once, "steps": draw(inner)}
        case _:
            body = draw(inner)
            if draw(st.booleans()):
                body.append({"type": "raise", "code": "X", "when": "n % 10 = 1"})
            caught = {"errors": ["X"], "steps": draw(trees(depth=0))}
            return {"type": "try", "body": body, "catch": [caught]}


@dataclass
class Numbering:
    """Gives steps their ids; a called process is put apart under a name of its own."""

    count: int = 0
    called: dict[str, list[Step]] = field(default_factory=dict)

    def steps(self, steps: list[Step], above: str, *, back: bool = True) -> list[Step]:
        """The same with ids. `back`: a `return` may stand here."""
        return [self._step(step, above, back=back) for step in steps]

    def _step(self, step: Step, above: str, *, back: bool) -> Step:
        self.count += 1
        id_ = f"s{self.count}"
        path = f"{above}/{id_}" if above else id_
        if "leaf" in step:
            return self._leaf(
                step["leaf"] if back or step["leaf"] != "return" else "map", id_, path
            )
        made = {"id": id_, **step}
        if "called" in made:
            made["process"] = f"p{self.count}"
            self.called[made["process"]] = self.steps(made.pop("called"), path)
            return made
        for name in PATHS:
            if name in made:
                made[name] = self.steps(made[name], path, back=back)
        if "paths" in made:
            back = back and made["type"] == "route"
            made["paths"] = {
                name: self.steps(part, path, back=back)
                if isinstance(part, list)
                else {**part, "steps": self.steps(part["steps"], path, back=back)}
                for name, part in made["paths"].items()
            }
        if "catch" in made:
            made["catch"] = [
                {**item, "steps": self.steps(item["steps"], path, back=back)}
                for item in made["catch"]
            ]
        return made

    def _leaf(self, kind: str, id_: str, path: str) -> Step:
        made = leaf(kind, id_)
        if kind == "tell":
            made["retry"] = {"max": 5, "first": "1s", "errors": ["transient.definite"]}
            made["verify"] = {
                "steps": [{"id": f"ask-{id_}", "type": "target.ask", "of": path}],
                "done_if": "count > 0",
                "not_done_if": "count = 0",
            }
        return made


def written(steps: list[Step]) -> str:
    text: str = yaml.safe_dump(steps, default_flow_style=True, width=10**6)
    return text
