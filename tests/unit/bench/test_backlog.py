"""The backlog of the bench: every key gets its even part, and every batch is of one process."""

from collections import Counter

from tests.bench.spread import batches_of


def test_the_backlog_is_spread_evenly_over_keys_and_processes() -> None:
    batches = list(batches_of(20_000, 200))
    keys = Counter(
        (batch["process"], item["input"]["key"])
        for batch in batches
        for item in batch["submissions"]
    )
    assert len(keys) == 200
    assert set(keys.values()) == {100}
    assert all(len(batch["submissions"]) == 100 for batch in batches)


def test_a_document_of_the_backlog_is_about_a_kilobyte() -> None:
    batch = next(batches_of(100, 20))
    assert 950 < len(str(batch["submissions"][0]["input"])) < 1_024
