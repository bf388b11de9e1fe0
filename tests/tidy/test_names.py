"""Names come from the glossary, and no file is a dumping ground."""

import pytest

from tests.tidy import names
from tests.tidy.source import ROOT, Source, hold, sources, tracked

GLOSSARY = """
| term | meaning | not |
|---|---|---|
| **process** | a designed integration | `workflow`, job |
"""


def planted(text: str) -> list[str]:
    return names.identifier_faults([Source("molecule/x.py", text)], names.banned(GLOSSARY))


def test_no_file_is_named_like_a_dumping_ground() -> None:
    ours = ("molecule/", "tests/", "chaos/", "docs/", "proto/")
    hold(names.file_faults(path for path in tracked() if path.startswith(ours)))


def test_identifiers_use_the_words_of_the_glossary() -> None:
    words = names.banned((ROOT / names.PAGE).read_text(encoding="utf-8"))
    assert len(words) > 20
    hold(names.identifier_faults(sources("molecule", "chaos"), words))


@pytest.mark.parametrize("path", ["molecule/utils.py", "molecule/core/x.py", "tests/_helpers.py"])
def test_the_rule_finds_a_dumping_ground(path: str) -> None:
    assert names.file_faults([path])


@pytest.mark.parametrize(
    "text",
    [
        "class WorkflowRunner: ...",
        "def start_workflow(): ...",
        "def start(workflow): ...",
        "workflow_count = 1",
        "self.workflow = 1",
        "def start(ctx): ...",
    ],
)
def test_the_rule_finds_a_refused_word(text: str) -> None:
    assert planted(text)


def test_words_without_backticks_are_refused_in_prose_only() -> None:
    assert planted("job = process_of(flows)") == []
