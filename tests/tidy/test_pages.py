"""The pages hold together: links, headings, and drawings that equal the code."""

import pytest

from molecule.model.execution import TERMINAL, TRANSITIONS
from tests.tidy import pages


def test_the_pages_are_in_order() -> None:
    assert pages.all_faults() == []


def test_the_diagram_draws_every_transition() -> None:
    drawing = pages.state_diagram()
    arrows = sum(len(targets) for targets in TRANSITIONS.values())
    assert drawing.count(" --> ") == arrows + 1 + len(TERMINAL)


def test_the_diagram_replaces_what_stands_between_the_marks() -> None:
    page = f"# T\n{pages.BEGIN}\nold\n{pages.END}\nrest"
    assert pages.redrawn(page, "new") == f"# T\n{pages.BEGIN}\n\nnew\n\n{pages.END}\nrest"


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks"):
        pages.redrawn("# T\n", "new")


@pytest.mark.parametrize("link", ["gone.md", "b.md#nothing", "#nothing", "../gone/"])
def test_the_rule_finds_a_dead_link(link: str) -> None:
    texts = {"docs/a.md": f"# A\n[x]({link})\n", "docs/b.md": "# B\n## Two words\n"}
    assert pages.link_faults(texts, frozenset(texts))


@pytest.mark.parametrize(
    "link", ["b.md", "b.md#two-words", "#a", "https://example.com/x", "../molecule", "."]
)
def test_the_rule_lets_a_good_link_pass(link: str) -> None:
    texts = {"docs/a.md": f"# A\n[x]({link})\n", "docs/b.md": "# B\n## Two words\n"}
    assert pages.link_faults(texts, frozenset({*texts, "molecule/x.py"})) == []


@pytest.mark.parametrize("page", ["## B\n", "# A\n### C\n", "# A\n# B\n"])
def test_the_rule_finds_headings_out_of_order(page: str) -> None:
    assert pages.heading_faults("docs/a.md", page)
