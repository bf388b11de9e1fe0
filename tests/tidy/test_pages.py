"""The pages hold together: links, headings, and drawings that equal the code."""

import pytest

from molecule.component import registry
from molecule.config import Limits, NodeConfig
from molecule.model.execution import TERMINAL, TRANSITIONS
from tests.tidy import drawings, pages
from tests.tidy.source import hold


def test_the_pages_are_in_order() -> None:
    hold(pages.all_faults())


def test_the_diagram_draws_every_transition() -> None:
    drawing = drawings.states()
    arrows = sum(len(targets) for targets in TRANSITIONS.values())
    assert drawing.count(" --> ") == arrows + 1 + len(TERMINAL)


def test_the_pages_name_every_component_and_limit() -> None:
    names = {component.type for component in registry.discover(extensions=False).components()}
    assert all(f"### `{name}`" in drawings.components() for name in names)
    assert all(f"`{name}`" in drawings.limits() for name in Limits.model_fields)
    assert all(f"`{name}`" in drawings.settings() for name in NodeConfig.model_fields)


def test_a_drawing_replaces_what_stands_between_its_marks() -> None:
    page = f"# T\n<!-- drawn: x -->\nold\n{pages.END}\nrest"
    fresh = pages.redrawn(page, {"x": lambda: "new"})
    assert fresh == f"# T\n<!-- drawn: x -->\n\nnew\n\n{pages.END}\nrest"
    assert pages.redrawn(fresh, {"x": lambda: "new"}) == fresh


@pytest.mark.parametrize("page", ["<!-- drawn: x -->\nno end", f"<!-- drawn: y -->\n{pages.END}"])
def test_a_drawing_without_end_or_maker_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="unknown or has no end"):
        pages.redrawn(page, {"x": lambda: "new"})


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
