"""YAML that a stranger wrote."""

import pytest

from molecule.config import Limits
from molecule.definition.findings import Findings
from molecule.definition.yaml_guard import load
from molecule.model.errors import Finding

LIMITS = Limits()


def faults(text: str | bytes, limits: Limits = LIMITS) -> tuple[Finding, ...]:
    findings = Findings("a.yaml", bound=limits.findings_max)
    content = text if isinstance(text, bytes) else text.encode()
    assert load(content, findings, limits) is None
    return findings.in_order()


def value(text: str) -> object:
    node = load(text.encode(), Findings("a.yaml", bound=9), LIMITS)
    assert node is not None
    return node.plain()


def test_scalars_follow_yaml_1_2() -> None:
    text = "[NO, on, yes, 0o17, 1_000, 12, -3, 1.5, 1e3, true, null, ~, 2013-01-01, '7', 12:30:45]"
    assert value(text) == [
        "NO", "on", "yes", "0o17", "1_000", 12, -3, 1.5, 1000.0, True, None, None,
        "2013-01-01", "7", "12:30:45",
    ]  # fmt: skip


def test_a_whole_number_beyond_2_to_53_stays_a_text() -> None:
    assert value("[9007199254740993, 9007199254740991]") == ["9007199254740993", 9007199254740991]


def test_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in [("a", "b"), ("b", "c")]
    )
    (fault,) = faults(bomb)
    assert (fault.line, fault.column) == (1, 4)
    assert "anchors are refused" in fault.what


def test_fifty_thousand_brackets_are_refused_not_crashed_on() -> None:
    (fault,) = faults("[" * 50_000)
    assert fault.what == f"nested deeper than {LIMITS.yaml_depth_max} levels"


def test_nesting_up_to_the_bound_is_taken() -> None:
    depth = LIMITS.yaml_depth_max
    assert value("[" * depth + "]" * depth) is not None
    assert faults("[" * (depth + 1) + "]" * (depth + 1))


def test_a_key_that_stands_twice_names_both_lines_and_all_are_found() -> None:
    first, second = faults("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n")
    assert (first.line, first.column, first.what) == (
        4, 3, "the key 'c' stands twice, first in line 3",
    )  # fmt: skip
    assert (second.line, second.what) == (5, "the key 'a' stands twice, first in line 1")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the file is empty"),
        ("a: 1\n---\nb: 2\n", "more than one document"),
        ("a: !!python/object:os.system x", "tags are refused"),
        ("? [a, b]\n: 1", "a key must be a text"),
        ("a: [1, 2", "not YAML"),
        ("a: b: c", "not YAML"),
        (b"a: \xff", "not UTF-8"),
    ],
)
def test_what_is_refused_says_why(text: str | bytes, what: str) -> None:
    assert what in faults(text)[0].what


def test_size_and_events_are_bounded() -> None:
    small = Limits(yaml_bytes_max=100, yaml_events_max=20)
    assert "yaml_bytes_max" in faults("a" * 101, small)[0].what
    assert "yaml_events_max" in faults("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", small)[0].what


def test_more_faults_than_the_bound_end_with_a_word_about_it() -> None:
    text = "".join(f"a{n}: 1\na{n}: 1\n" for n in range(20))
    found = faults(text, Limits(findings_max=5))
    assert len(found) == 6
    assert "and more faults" in [fault.what for fault in found]
