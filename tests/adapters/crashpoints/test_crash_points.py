"""The product recovers from every state of a crash, and a product that forgot a sync would not."""

import functools

import pytest

from chaos.crashpoints import campaign
from chaos.crashpoints.campaign import Case
from chaos.crashpoints.disk import POWER_LOST
from chaos.crashpoints.main import POINTS_MIN, why_not
from chaos.crashpoints.scripts import SCRIPTS
from chaos.crashpoints.syscalls import Operation, Sync

# Of the steps of a script; with fewer the record would miss what the script says.
TOLD_MIN = 8
_REFUSAL = why_not()
pytestmark = pytest.mark.skipif(bool(_REFUSAL), reason=_REFUSAL or "-")


@functools.cache
def recorded(script: str) -> tuple[str, tuple[Operation, ...]]:
    folder, made = campaign.recorded(script)
    return folder, tuple(made)


def after_power_losses(script: str, folder: str, made: list[Operation]) -> list[Case]:
    """Of each state that only a loss of all that was not synced can leave, the first."""
    chosen: dict[object, Case] = {}
    for case in campaign.cases(script, folder, made):
        if case.image.kind == POWER_LOST:
            chosen.setdefault((case.image.key, case.begun, case.done), case)
    return list(chosen.values())


def test_a_journal_recovers_from_every_state() -> None:
    result = campaign.run("journal")

    assert result.violations == []
    assert result.points >= POINTS_MIN["journal"]


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_what_was_told_to_be_durable_outlives_a_loss_of_power(script: str) -> None:
    folder, made = recorded(script)
    cases = after_power_losses(script, folder, list(made))

    assert [text for case in cases if (text := campaign.judge(case))] == []
    told = {case.done for case in cases}
    assert {0, 1} <= told
    assert len(told) >= TOLD_MIN


@pytest.mark.parametrize(
    ("script", "forgotten"),
    [
        ("journal", "/0000000001.segment"),
        ("journal", "/journal"),
        ("data-folder", "/identity.json.new"),
        ("data-folder", "/CURRENT.new"),
        ("data-folder", "/data"),
        ("data-folder", "/generations"),
        ("documents", ".new"),
        ("documents", "/documents.db-wal"),
        ("documents", "/documents"),
        ("documents", "/files"),
        ("state", "/state.db-wal"),
        ("state", "/state.db.creating"),
        ("state", "/files"),
        ("voter", "/files"),
        ("voter", "/state.db-wal"),
        ("voter", "/documents.db-wal"),
        ("voter", "/journal"),
        ("outbox", "/outbox"),
        ("outbox", "/late"),
        ("outbox", ".part"),
    ],
)
def test_a_sync_that_is_forgotten_is_found(script: str, forgotten: str) -> None:
    folder, made = recorded(script)
    without = [one for one in made if not (isinstance(one, Sync) and one.path.endswith(forgotten))]
    assert len(without) < len(made)

    cases = after_power_losses(script, folder, without)

    assert any(campaign.judge(case) for case in cases)
