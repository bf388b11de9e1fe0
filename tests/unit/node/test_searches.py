"""Pages of executions: what matches, in which order, and where the next page begins."""

import pytest

from molecule.cluster.apply import StateMachine
from molecule.cluster.outcome import Applied
from molecule.config import Limits
from molecule.model.errors import InvalidInput
from molecule.node import searches
from molecule.node.searches import Scan, Search
from molecule.storage.rows import HistoryQuery
from tests.unit.cluster.builders import NOW_MS, Replica

PAGE_SIZE_MAX = Limits().page_size_max


def a_search(**query: str) -> Search:
    named = {name.replace("__", "."): value for name, value in query.items()}
    return searches.parsed(named, page_size_max=PAGE_SIZE_MAX)


def found(replica: Replica, **query: str) -> tuple[list[str], str]:
    scan = Scan(replica.state, a_search(**query))
    while not scan.look(2):
        pass
    views, cursor = scan.page()
    return [view["id"] for view in views], cursor


def three() -> Replica:
    replica = Replica()
    for number in (1, 2, 3):
        replica.at_ms = NOW_MS + number
        replica.submit(f"e{number}")
    return replica


def test_newest_execution_comes_first_and_history_follows() -> None:
    assert found(three()) == (["e3", "e2", "e1"], "ended:")


def test_next_page_begins_behind_the_last_one_whatever_was_accepted_meanwhile() -> None:
    replica = three()
    first, cursor = found(replica, limit="2")
    replica.submit("e4")
    second, end = found(replica, limit="2", cursor=cursor)
    assert (first, second, end) == (["e3", "e2"], ["e1"], "ended:")


def test_page_that_is_just_full_is_the_last_one_in_memory() -> None:
    assert found(three(), limit="3", state="PENDING") == (["e3", "e2", "e1"], "")


def test_ended_cursor_is_past_everything_in_memory() -> None:
    assert found(three(), cursor="ended:xyz") == ([], "ended:xyz")
    assert a_search(cursor="ended:xyz").history_cursor == "xyz"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"process": "orders"}, ["e3", "e2", "e1"]),
        ({"process": "wishes"}, []),
        ({"environment": "prod"}, []),
        ({"state": "PENDING,ASSIGNED"}, ["e3", "e2", "e1"]),
        ({"state": "ASSIGNED"}, []),
        ({"key": "key of e2"}, ["e2"]),
        ({"key": "nobody's"}, []),
        ({"since": str(NOW_MS + 2)}, ["e3", "e2"]),
        ({"until": str(NOW_MS + 2)}, ["e1"]),
    ],
)
def test_search_gives_what_matches(query: dict[str, str], expected: list[str]) -> None:
    assert found(three(), **query)[0] == expected


def test_search_finds_an_execution_by_its_business_key() -> None:
    replica = Replica()
    replica.submit("e1", track={"flight": "UA1"})
    replica.submit("e2", track={"flight": "UA2"})
    assert found(replica, track__flight="UA2")[0] == ["e2"]


def test_terminal_state_is_looked_for_in_history_only() -> None:
    search = a_search(state="FAILED", process="orders", since="5")
    assert (search.looks_in_memory, search.looks_in_history) == (False, True)
    assert search.history_query == HistoryQuery(process="orders", state="FAILED", ended_from_ms=5)


def test_state_that_goes_on_is_looked_for_in_memory_only() -> None:
    search = a_search(state="WAITING")
    assert (search.looks_in_memory, search.looks_in_history) == (True, False)


@pytest.mark.parametrize(("asked", "given"), [("0", 1), ("7", 7), ("99999999", PAGE_SIZE_MAX)])
def test_page_size_stays_within_its_bounds(asked: str, given: int) -> None:
    assert a_search(limit=asked).limit == given


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "e1"},
        {"cursor": "active:e1"},
        {"cursor": "active:"},
        {"state": "RUNNING"},
        {"state": "FAILED,CANCELLED"},
        {"since": "yesterday"},
        {"until": "-1"},
        {"limit": "many"},
        {"track__a": "1", "track__b": "2"},
    ],
)
def test_parameter_that_cannot_be_read_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        a_search(**query)


def test_what_is_parked_is_found_without_looking_at_the_backlog() -> None:
    replica = three()
    for name in ("e3", "e1"):
        outcome = replica.assign(name)
        assert isinstance(outcome, Applied)
        replica.intend(name, outcome.value, name)
        replica.end(name, outcome.value, "IN_DOUBT")
    scan = Scan(replica.state, a_search(state="IN_DOUBT"))
    assert scan.look(2)
    assert [view["id"] for view in scan.page()[0]] == ["e3", "e1"]


def test_what_ends_during_a_search_is_left_to_history() -> None:
    replica = three()
    outcome = replica.assign("e2")
    assert isinstance(outcome, Applied)
    scan = Scan(replica.state, a_search())
    assert not scan.look(1)
    replica.end("e2", outcome.value)
    assert scan.look(2)
    assert [view["id"] for view in scan.page()[0]] == ["e3", "e1"]


def test_pages_follow_each_other_after_a_restart_whatever_the_ids() -> None:
    replica = Replica()
    for name in ("b", "c", "a"):
        replica.submit(name)
    replica.machine = StateMachine.restore(
        sorted(replica.machine.rows()), index=replica.machine.index, term=1, rolling_hash=b""
    )
    first, cursor = found(replica, limit="2")
    second, _ = found(replica, limit="2", cursor=cursor)
    assert (first, second) == (["a", "c"], ["b"])
