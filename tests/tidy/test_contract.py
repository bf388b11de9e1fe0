"""`docs/contract-tests.md` names a test for every sentence of the contract, and each exists.

What is a sentence people must judge; that no section is forgotten and no point is without a row is
judged here.
"""

import re

from tests.tidy.source import ROOT, hold

PAGE = ROOT / "docs" / "contract-tests.md"
CONTRACT = ROOT / "docs" / "execution-contract.md"
ROW = re.compile(r"^\| (?!sentence |---)(?P<sentence>[^|]+) \| (?P<tests>[^|]+) \|$")
NAMED = re.compile(r"`([^`]+)`")
LATER = re.compile(r"later: (?:(?:Language|Systems|Operable)(?:, )?)+")


def faults(page: str) -> list[str]:
    """Sentences without a test, tests that do not exist, lines of a table that cannot be read."""
    found = []
    for number, line in enumerate(page.splitlines(), start=1):
        if not line.startswith("|") or line.startswith(("|---", "| sentence |")):
            continue
        row = ROW.match(line)
        if row is None:
            found.append(f"line {number}: not a sentence and its tests")
            continue
        named = NAMED.findall(row["tests"])
        if not named and not LATER.fullmatch(row["tests"].strip()):
            found.append(
                f"line {number}: {row['sentence']}: names neither a test nor what brings it"
            )
        found += [f"line {number}: {name} does not exist" for name in named if not _exists(name)]
    return found


def _exists(name: str) -> bool:
    path, _, function = name.partition("::")
    file = ROOT / "tests" / path
    if not file.is_file():
        return False
    return (
        not function
        or re.search(rf"^(?:async )?def {re.escape(function)}\(", file.read_text(), re.MULTILINE)
        is not None
    )


def forgotten(contract: str, page: str) -> list[str]:
    """Sections of the contract that the page lacks, or that have fewer rows there than points."""
    points = _counted(contract, r"\* ")
    rows = _counted(page, r"\| (?!sentence |---)")
    return [
        f"{section}: {count} points and {rows.get(section, 0)} rows"
        for section, count in points.items()
        if rows.get(section, 0) < max(count, 1)
    ]


def _counted(text: str, begin: str) -> dict[str, int]:
    """How many lines begin so, by second heading."""
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return {
        section.partition("\n")[0]: len(re.findall(rf"^{begin}", section, re.MULTILINE))
        for section in sections
    }


def test_every_sentence_of_the_contract_has_a_test_that_exists() -> None:
    hold(faults(PAGE.read_text()))


def test_no_section_or_point_of_the_contract_is_forgotten() -> None:
    hold(forgotten(CONTRACT.read_text(), PAGE.read_text()))


def test_a_section_and_a_point_without_a_row_are_found() -> None:
    contract = "## Kept\n\n* one\n* two\n\n## Told\n\nAlways.\n\n## Done\n\n* once\n"
    page = "## Kept\n\n| sentence | tests |\n|---|---|\n| one | x |\n\n## Done\n\n| once | x |\n"
    assert forgotten(contract, page) == ["Kept: 2 points and 1 rows", "Told: 0 points and 0 rows"]


def test_a_missing_test_and_an_empty_row_are_found() -> None:
    page = (
        "| sentence | tests |\n|---|---|\n"
        "| kept | `tidy/test_contract.py::test_gone` |\n"
        "| told | `tidy/gone.py::test_it` |\n"
        "| alone | nothing |\n"
        "| broken\n"
        "| later | later: Language |\n"
        "| fine | `tidy/test_contract.py::test_a_missing_test_and_an_empty_row_are_found` |\n"
    )
    assert [fault.split(":")[0] for fault in faults(page)] == [
        "line 3",
        "line 4",
        "line 5",
        "line 6",
    ]
