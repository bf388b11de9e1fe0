"""The pages under docs/: links lead somewhere, headings are in order, drawings equal the code.

`python -m tests.tidy.pages` checks and prints; with `--write` it first redraws what is drawn from
the code. Nothing is fetched: links to other sites are not followed.
"""

import itertools
import re
import sys
from collections.abc import Mapping
from pathlib import PurePosixPath

from molecule.model.execution import ACTIVE, PARKED, TERMINAL, TRANSITIONS
from tests.tidy.source import ROOT, tracked

STATES_PAGE = "docs/execution-contract.md"
BEGIN, END = "<!-- drawn from molecule/model/execution.py -->", "<!-- end of drawing -->"
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def state_diagram() -> str:
    """The transition table as a mermaid diagram, in the order in which the states are declared."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> PENDING"]
    for state, targets in TRANSITIONS.items():
        lines += [f"    {state} --> {target}" for target in TRANSITIONS if target in targets]
    lines += [f"    {state} --> [*]" for state in TRANSITIONS if state in TERMINAL]
    kinds = (("active", ACTIVE), ("parked", PARKED), ("terminal", TERMINAL))
    for kind, states in kinds:
        members = ",".join(state for state in TRANSITIONS if state in states)
        lines.append(f"    class {members} {kind}")
    return "\n".join([*lines, "```"])


def redrawn(page: str, drawing: str) -> str:
    """The page with what stands between the two marks replaced; ValueError without the marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{STATES_PAGE} needs the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{drawing}\n\n{END}{after}"


def anchors(page: str) -> set[str]:
    """Names of a page's headings as links write them."""
    found: set[str] = set()
    for _, title in _headings(page):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 1
        while slug in found:
            slug = f"{slug}-{number}"
            number += 1
        found.add(slug)
    return found


def heading_faults(path: str, page: str) -> list[str]:
    """One title, first; no level skipped on the way down."""
    levels = [level for level, _ in _headings(page)]
    found = []
    if levels[:1] != [1] or levels.count(1) != 1:
        found.append(f"{path}: needs exactly one title, before every other heading")
    for before, after in itertools.pairwise(levels):
        if after > before + 1:
            found.append(f"{path}: a heading of level {after} follows one of level {before}")
    return found


def link_faults(pages: Mapping[str, str], files: frozenset[str]) -> list[str]:
    """Links to files that are not there, and to headings that no page has."""
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    found = []
    for path, page in pages.items():
        for link in LINK.findall(_without_code(page)):
            address = link[0] or link[1]
            if re.match(r"[a-z]+:", address):
                continue
            target, _, anchor = address.partition("#")
            place = _resolved(path, target) if target else path
            if place not in files and place.rstrip("/") not in folders:
                found.append(f"{path}: {address}: no such file")
            elif anchor and place in pages and anchor not in anchors(pages[place]):
                found.append(f"{path}: {address}: no such heading")
    return found


def _resolved(path: str, target: str) -> str:
    parts: list[str] = list(PurePosixPath(path).parent.parts)
    for part in PurePosixPath(target).parts:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return "/".join(parts)


def _without_code(page: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", page, flags=re.DOTALL)


def _headings(page: str) -> list[tuple[int, str]]:
    plain = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    return [
        (len(marks), title) for marks, title in re.findall(r"^(#+) +(.*)$", plain, re.MULTILINE)
    ]


def all_faults() -> list[str]:
    """Everything wrong with the pages of this checkout."""
    pages = {
        path: (ROOT / path).read_text(encoding="utf-8")
        for path in tracked()
        if path.endswith(".md")
    }
    found = link_faults(pages, frozenset(tracked()))
    for path, page in pages.items():
        found += heading_faults(path, page)
    if (
        STATES_PAGE not in pages
        or redrawn(pages[STATES_PAGE], state_diagram()) != pages[STATES_PAGE]
    ):
        found.append(f"{STATES_PAGE}: the diagram differs from the table: run ./dev docs")
    return found


def main(arguments: list[str]) -> int:
    """Exit code 1 when a page has a fault."""
    if "--write" in arguments:
        page = ROOT / STATES_PAGE
        page.write_text(
            redrawn(page.read_text(encoding="utf-8"), state_diagram()), encoding="utf-8"
        )
    found = all_faults()
    sys.stdout.write("\n".join(found or ["docs: clean"]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
