"""The report of a run: what it computes is what the history says, and the page stands alone."""

import itertools
import json
from html.parser import HTMLParser

from chaos.commit import short
from chaos.history import History
from chaos.report import figures
from chaos.report.page import page
from chaos.report.record import joined
from chaos.verdict import judge
from tests.unit.chaos.edits import Edit
from tests.unit.chaos.good_runs import good
from tests.unit.chaos.mutants_of_keeping import MUTANTS


class Reader(HTMLParser):
    """Counts tags that are open, and remembers what would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.rows = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "rect", "line", "circle"):
            self.open.append(tag)
        self.rows += tag == "tr"
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


def told(history: History) -> dict[str, object]:
    return figures.of(history, judge(history))


def test_figures_of_a_good_run_pass_and_are_json() -> None:
    found = told(good(3))

    assert found["passed"] is True
    assert json.loads(json.dumps(found)) == found


def test_an_outage_is_the_longest_silence_between_a_fault_and_what_follows_it() -> None:
    history = good(3)
    accepted = sorted(one.answered.at_us // 1000 for _, one in history.submissions if one.is_ok)
    faults = told(history)["faults"]

    assert isinstance(faults, list)
    begins = [fault["began_ms"] for fault in faults]
    for fault in faults:
        began, ended = fault["began_ms"], fault["began_ms"] + fault["lasted_ms"]
        until = min([ended + 3_000, *(other for other in begins if other > began)])
        before = max(at for at in accepted if at < began)
        looked = [before, *(at for at in accepted if began <= at <= until), until]
        silences = [later - earlier for earlier, later in itertools.pairwise(looked)]
        assert fault["outage_ms"] == max(silences)
        assert fault["is_confirmed"]


def test_a_new_leader_is_told_where_the_old_one_was_the_victim() -> None:
    faults = told(good(3))["faults"]

    assert isinstance(faults, list)
    assert [fault["new_leader_ms"] for fault in faults] == [10, 10, None, None]


def test_the_cost_of_faults_that_struck_together_is_nobodys() -> None:
    found = told(good(3))
    faults, kinds = found["faults"], found["kinds"]

    assert isinstance(faults, list)
    assert isinstance(kinds, list)
    assert [fault["is_alone"] for fault in faults] == [True, True, False, False]
    costs = {kind["kind"]: kind["outage_ms"] for kind in kinds}
    assert costs["freeze"] is None
    assert costs["kill"]["all"] == [faults[0]["outage_ms"]]


def test_the_page_is_whole_and_fetches_nothing() -> None:
    found = told(good(3))
    reader = Reader()
    reader.feed(page(found))

    assert reader.open == []
    assert reader.fetched == []
    assert reader.rows > len(good(3).faults)


def test_what_broke_stands_on_the_page() -> None:
    edit = Edit(good(3))
    named = MUTANTS["execution_lost_everywhere"].plant(edit)
    found = told(edit.made())
    text = page(found)

    assert found["passed"] is False
    assert '<span class="failed">' in text
    assert named in text


def test_words_of_a_run_are_text_and_no_markup() -> None:
    found = {**told(good(3)), "trouble": ["<script>alert(1)</script>"]}

    assert "<script>" not in page(found)


def test_a_tree_that_was_changed_is_not_told_as_its_commit() -> None:
    assert short("d944731e35f658da7df8fecb4dcb7887a19f36a2") == "d944731e35f6"
    assert short("d944731e35f658da7df8fecb4dcb7887a19f36a2-dirty") == "d944731e35f6 and changes"
    assert short("") == "unknown"


def test_runs_that_are_added_count_beside_those_before() -> None:
    costs: dict[str, list[int]] = {"new_leader_ms": [], "moved_ms": [], "placed_ms": []}
    before = {"kind": "kill", "aim": "leader", "count": 2, "outage_ms": [300], **costs}
    more = {"kind": "kill", "aim": "leader", "count": 3, "outage_ms": [100, 400], **costs}
    other = {"kind": "deaf", "aim": "leader", "count": 1, "outage_ms": [], **costs}

    assert joined([before, more, other]) == [
        other,
        {**before, "count": 5, "outage_ms": [100, 300, 400]},
    ]
