"""Decision pages are numbered once each, say their number, and are all listed in order."""

import re

from tests.tidy.source import ROOT, hold

FOLDER = ROOT / "docs" / "decisions"
PAGE = re.compile(r"(\d{4})-[a-z0-9-]+\.md")


def test_decisions_have_one_number_each_and_are_listed_in_order() -> None:
    names = sorted(path.name for path in FOLDER.glob("*.md") if path.name != "README.md")
    listed = re.findall(
        r"^\| \[(\d{4})\]\(([^)]+)\)", (FOLDER / "README.md").read_text(), re.MULTILINE
    )
    faults = [f"{name}: no decision's name" for name in names if not PAGE.fullmatch(name)]
    numbers = [name[:4] for name in names]
    faults += [f"{number}: given twice" for number in set(numbers) if numbers.count(number) > 1]
    faults += [
        f"{name}: its title begins with another number"
        for name in names
        if not (FOLDER / name).read_text().startswith(f"# {name[:4]} ")
    ]
    if listed != [(name[:4], name) for name in names]:
        faults.append("README.md: does not list the pages in order")
    hold(faults)
