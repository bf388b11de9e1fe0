"""`docs/contract-tests.md` names a test for every sentence of the contract, and each exists."""

import re

from tests.tidy.source import ROOT, hold

PAGE = ROOT / "docs" / "contract-tests.md"
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


def test_every_sentence_of_the_contract_has_a_test_that_exists() -> None:
    hold(faults(PAGE.read_text()))


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
