"""The pages under docs/: links lead somewhere, headings are in order, drawings equal the code.

`python -m tests.tidy.pages` checks and prints; with `--write` it first redraws what is drawn from
the code. Nothing is fetched: links to other sites are not followed.
"""

import itertools
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from tests.tidy.drawings import DRAWINGS
from tests.tidy.source import ROOT, tracked

BEGIN = re.compile(r"<!-- drawn: (.+?) -->\n")
END = "<!-- end of drawing -->"
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def redrawn(page: str, drawings: Mapping[str, Callable[[], str]]) -> str:
    """The page with every drawing made anew; ValueError for one unknown or without an end."""
    parts, place = [], 0
    for begin in BEGIN.finditer(page):
        end = page.find(END, begin.end())
        if begin[1] not in drawings or end < 0:
            raise ValueError(f"the drawing {begin[1]} is unknown or has no end mark")
        parts += [page[place : begin.end()], f"\n{drawings[begin[1]]()}\n\n"]
        place = end
    return "".join([*parts, page[place:]])


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
        if redrawn(page, DRAWINGS) != page:
            found.append(f"{path}: a drawing differs from the code: run ./dev docs")
    return found


def redraw_all() -> None:
    """Make every drawing of every page anew."""
    for path in tracked():
        if path.endswith(".md"):
            page = (ROOT / path).read_text(encoding="utf-8")
            fresh = redrawn(page, DRAWINGS)
            if fresh != page:
                (ROOT / path).write_text(fresh, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Exit code 1 when a page has a fault."""
    if "--write" in arguments:
        redraw_all()
    found = all_faults()
    sys.stdout.write("\n".join(found or ["docs: clean"]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
