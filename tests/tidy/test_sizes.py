"""Files and functions stay short enough to be read at one sitting."""

from tests.tidy import sizes
from tests.tidy.source import Source, hold, sources


def of_lines(count: int, path: str = "molecule/long.py") -> Source:
    return Source(path, "x = 1\n" * count)


def a_function_of(lines: int) -> Source:
    return Source("molecule/long.py", "def work():\n" + "    x = 1\n" * (lines - 1))


def test_no_file_is_too_long() -> None:
    hold(sizes.file_faults(sources("molecule", "tests", "chaos")))


def test_no_function_is_too_long() -> None:
    hold(sizes.function_faults(sources("molecule", "tests", "chaos")))


def test_most_files_are_short() -> None:
    hold(sizes.spread_faults(sources("molecule"), median=220, ninth_tenth=330))


def test_the_rule_finds_a_long_file() -> None:
    assert sizes.file_faults([of_lines(401)], {})
    assert sizes.file_faults([of_lines(400)], {}) == []


def test_a_reason_allows_a_longer_file_but_not_any_length() -> None:
    reasons = {"molecule/long.py": "one table"}
    assert sizes.file_faults([of_lines(500)], reasons) == []
    assert sizes.file_faults([of_lines(501)], reasons)


def test_the_rule_finds_a_reason_that_nothing_needs() -> None:
    assert sizes.file_faults([of_lines(10)], {"molecule/long.py": "one table"})


def test_the_rule_finds_a_long_function() -> None:
    assert sizes.function_faults([a_function_of(61)])
    assert sizes.function_faults([a_function_of(60)]) == []


def test_the_rule_finds_files_that_are_long_on_the_whole() -> None:
    files = [of_lines(300, f"molecule/{number}.py") for number in range(10)]
    assert len(sizes.spread_faults(files, median=220, ninth_tenth=250)) == 2
