"""Figures of the bench: medians are quoted, and a goal is met or missed by them."""

from tests.bench import page
from tests.bench.figures import Figures, Goal, quantile, rounded

RATE = Goal("W1", "rate", "executions/s", 1_000, at_least=True)
TIME = Goal("W3", "time", "ms", 300, worst=1_000)


def test_a_rate_is_met_from_its_goal_on() -> None:
    assert RATE.met_by([900, 1_000, 1_100]) is True
    assert RATE.met_by([1_200, 999, 998]) is False


def test_a_time_is_missed_by_its_median_or_by_its_worst() -> None:
    assert TIME.met_by([200, 300, 1_000]) is True
    assert TIME.met_by([200, 301, 400]) is False
    assert TIME.met_by([200, 200, 1_001]) is False


def test_without_a_goal_nothing_is_missed() -> None:
    assert Goal("W1", "told", "ms").met_by([1.0]) is None


def test_runs_of_one_figure_come_together_in_order() -> None:
    figures = Figures(lambda line: None)
    for run in (900.4, 1_100.6, 1_000.2):
        figures.note(RATE, run, load_average=1.0)
    figures.note(TIME, 12.34)
    first, second = figures.documents()
    assert first == {
        "workload": "W1",
        "name": "rate",
        "unit": "executions/s",
        "goal": "at least 1,000",
        "median": 1_000,
        "minimum": 900,
        "maximum": 1_101,
        "runs": [900, 1_101, 1_000],
        "met": True,
        "notes": [{"load_average": 1.0}] * 3,
    }
    assert (second["goal"], second["median"]) == ("at most 300, never over 1,000", 12.3)


def test_digits_that_mean_nothing_are_left_out() -> None:
    assert [rounded(value) for value in (1234.5, 99.95, 9.994)] == [1234, 100.0, 9.99]


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([float(value) for value in range(100)], 0.99) == 99.0
    assert quantile([1.0], 0.99) == 1.0


def test_the_table_shows_each_figure_beside_its_goal_and_the_clients_share() -> None:
    figures = Figures(lambda line: None)
    figures.note(RATE, 1_200, client_cpu_share=0.034)
    machine = {"cores": 2, "model": "M", "memory_gb": 8, "kernel": "6", "python": "3.11"}
    result = {
        "machine": {**machine, "commit": "abc"},
        "taken": "2026-01-02",
        "load_average_before": 0.1,
        "quick": True,
        "figures": figures.documents(),
    }
    drawn = page.table(result)
    row = "| W1: rate | 1,200 executions/s | 1,200 to 1,200 | 1 | at least 1,000 | met |"
    assert row in drawn
    assert "for a comparison only" in drawn
    assert drawn.endswith("all CPU time: W1 rate: 3%.")
